import type { Folder } from './folder'
import { tarEnd, tarHeader, tarPadding } from './tar'

export type Archive = { blob: Blob; sha256: string }

export const archiveLimitBytes = 512 * 1024 * 1024

// pack makes a .tar.gz of a folder. Progress is in bytes of its files.
export async function pack(
  folder: Folder,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Archive> {
  if (folder.files.length === 0) throw new Error('There are no files in this folder.')
  if (!globalThis.crypto?.subtle) {
    throw new Error(
      'Over plain HTTP from another machine a browser can’t check what it sends. Open the dashboard by HTTPS or at localhost, or use mini-vercel deploy.',
    )
  }
  const compressed = streamOf(tar(folder, onProgress, signal)).pipeThrough(
    new CompressionStream('gzip'),
  )
  const parts: Uint8Array<ArrayBuffer>[] = []
  let length = 0
  const reader = compressed.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value as Uint8Array<ArrayBuffer>)
    length += value.length
    if (length > archiveLimitBytes) {
      await reader.cancel()
      throw new Error(
        'The folder is larger than 512 MiB, packed. Build it first, or leave files out.',
      )
    }
  }
  const blob = new Blob(parts, { type: 'application/gzip' })
  return { blob, sha256: await sha256(blob) }
}

async function* tar(folder: Folder, onProgress: (bytes: number) => void, signal: AbortSignal) {
  let sent = 0
  for (const { path, file } of folder.files) {
    yield tarHeader({ path, size: file.size, modifiedSeconds: file.lastModified / 1000 })
    const reader = file.stream().getReader()
    let size = 0
    for (;;) {
      signal.throwIfAborted()
      const { done, value } = await reader.read()
      if (done) break
      size += value.length
      sent += value.length
      onProgress(sent)
      yield value
    }
    if (size !== file.size) throw new Error(`${path} has changed while it was read. Try again.`)
    yield tarPadding(size)
  }
  yield tarEnd
}

function streamOf(chunks: AsyncGenerator<Uint8Array<ArrayBuffer>>) {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await chunks.return(undefined)
    },
  })
}

async function sha256(blob: Blob): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
