import { createDeployment, publishDeployment } from '@/api/calls'
import { ApiError, problemToError, unreachable } from '@/api/error'
import type { Deployment, Environment, UploadURL } from '@/api/types'

import { sizeOf, type Folder } from './folder'
import { pack } from './pack'

export type Progress = { step: 'pack' | 'upload' | 'queue'; part: number } // part: 0 to 1

type DeployFolder = {
  projectId: string
  folder: Folder
  environment: Environment | undefined
  onProgress: (progress: Progress) => void
  signal: AbortSignal
}

// deployFolder packs a folder, sends it, and has it built.
export async function deployFolder(input: DeployFolder): Promise<Deployment> {
  const { projectId, folder, environment, onProgress, signal } = input
  const total = Math.max(1, sizeOf(folder))
  onProgress({ step: 'pack', part: 0 })
  const archive = await pack(
    folder,
    (bytes) => onProgress({ step: 'pack', part: bytes / total }),
    signal,
  )
  const { deployment, upload } = await createDeployment({
    projectId,
    kind: 'archive',
    message: `Folder ${folder.name}`,
    archiveSize: archive.blob.size,
    archiveSHA256: archive.sha256,
    ...(environment ? { environment } : {}),
  })
  if (!upload) throw new Error('The control plane named no address for the archive.')
  await send(upload, archive.blob, (part) => onProgress({ step: 'upload', part }), signal)
  onProgress({ step: 'queue', part: 1 })
  return publishDeployment(deployment.id)
}

// send PUTs the bytes. It is an XMLHttpRequest because fetch does not tell how
// far an upload is.
function send(
  to: UploadURL,
  blob: Blob,
  onPart: (part: number) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open(to.method, to.url)
    for (const [name, value] of Object.entries(to.headers ?? {})) {
      if (name.toLowerCase() !== 'content-length') request.setRequestHeader(name, value)
    }
    request.upload.addEventListener('progress', (event) => {
      if (event.lengthComputable) onPart(event.loaded / event.total)
    })
    request.addEventListener('load', () => {
      if (request.status >= 200 && request.status < 300) resolve()
      else reject(answered(request))
    })
    request.addEventListener('error', () => reject(unreachable()))
    request.addEventListener('abort', () => reject(new ApiError(0, 'The upload was stopped.')))
    signal.addEventListener('abort', () => request.abort(), { once: true })
    request.send(blob)
  })
}

function answered(request: XMLHttpRequest): ApiError {
  let body: unknown
  try {
    body = JSON.parse(request.responseText)
  } catch {
    body = undefined
  }
  return problemToError(new Response(null, { status: request.status }), body)
}
