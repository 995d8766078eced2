import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { fromDrop, fromPicker, type Folder } from './folder'
import { pack } from './pack'
import { isPathLeftOut } from './rules'

const folderOf = (files: Record<string, string | Uint8Array<ArrayBuffer>>): Folder => ({
  name: 'site',
  leftOut: 0,
  files: Object.entries(files).map(([path, content]) => ({
    path,
    file: new File([content], path.split('/').pop() ?? '', { lastModified: 1_700_000_000_000 }),
  })),
})

describe('pack', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pack-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const never = new AbortController().signal
  const unpack = async (folder: Folder) => {
    const { blob, sha256 } = await pack(folder, () => {}, never)
    const bytes = new Uint8Array(await blob.arrayBuffer())
    execFileSync('tar', ['-xzf', '-', '-C', directory], { input: bytes })
    return { bytes, sha256 }
  }
  const read = (path: string) => readFileSync(join(directory, path), 'utf8')

  it('makes what tar unpacks, names and contents alike', async () => {
    const long = `${'deeply/'.repeat(30)}${'n'.repeat(120)}.txt`
    const middle = `${'a'.repeat(90)}/${'b'.repeat(90)}.txt`
    const files = {
      'index.html': '<h1>hello</h1>',
      'empty.txt': '',
      'exactly-a-block.bin': 'x'.repeat(512),
      'ünïcödé/日本.txt': 'names',
      [middle]: 'in two fields',
      [long]: 'in a pax header',
    }
    await unpack(folderOf(files))
    for (const [path, content] of Object.entries(files)) expect(read(path)).toBe(content)
    expect(statSync(join(directory, 'index.html')).mtimeMs).toBe(1_700_000_000_000)
  })

  it('names the hash of exactly its bytes', async () => {
    const { bytes, sha256 } = await unpack(folderOf({ 'a.txt': 'a' }))
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
  })

  it('tells how far it is', async () => {
    const seen: number[] = []
    await pack(folderOf({ a: 'xx', b: 'yyy' }), (bytes) => seen.push(bytes), never)
    expect(seen.at(-1)).toBe(5)
  })

  it('refuses an empty folder, and stops when asked to', async () => {
    await expect(pack(folderOf({}), () => {}, never)).rejects.toThrow('no files')
    await expect(pack(folderOf({ a: 'x' }), () => {}, AbortSignal.abort())).rejects.toThrow(
      'aborted',
    )
  })

  it('says why where a browser has no secure context', async () => {
    vi.stubGlobal('crypto', {})
    await expect(pack(folderOf({ a: 'x' }), () => {}, never)).rejects.toThrow('localhost')
    vi.unstubAllGlobals()
  })
})

describe('what is left out', () => {
  it.each([
    ['index.html', false],
    ['src/.well-known/x', false],
    ['.git/HEAD', true],
    ['packages/a/node_modules/b/c.js', true],
    ['.env', true],
    ['app/.env.local', true],
    ['src/.environment.ts', false],
  ])('judges %s', (path, expected) => {
    expect(isPathLeftOut(path)).toBe(expected)
  })

  it('is left out of a picked folder, whose own name is no part of the paths', () => {
    const picked = ['site/index.html', 'site/.git/HEAD', 'site/a/b.css'].map((path) => {
      const one = new File(['x'], path.split('/').pop() ?? '')
      Object.defineProperty(one, 'webkitRelativePath', { value: path })
      return one
    })
    const folder = fromPicker(picked)
    expect(folder.name).toBe('site')
    expect(folder.files.map(({ path }) => path)).toEqual(['index.html', 'a/b.css'])
    expect(folder.leftOut).toBe(1)
  })

  it('is not even looked into in a dropped folder', async () => {
    const folder = await fromDrop(
      dropped(
        aDirectory('site', [
          aFile('index.html'),
          aDirectory('node_modules', 'never read'),
          aDirectory('a', [aFile('b.css'), aFile('.env')]),
        ]),
      ),
    )
    expect(folder.name).toBe('site')
    expect(folder.files.map(({ path }) => path)).toEqual(['index.html', 'a/b.css'])
    expect(folder.leftOut).toBe(2)
  })
})

// The parts of the File and Directory Entries API that a drop gives.
type Entry = { name: string; isFile: boolean; isDirectory: boolean }

function aFile(name: string): Entry {
  const entry = { name, isFile: true, isDirectory: false }
  return Object.assign(entry, {
    file: (resolve: (file: File) => void) => resolve(new File(['x'], name)),
  })
}

function aDirectory(name: string, children: Entry[] | 'never read'): Entry {
  const entry = { name, isFile: false, isDirectory: true }
  return Object.assign(entry, {
    createReader: () => {
      if (children === 'never read') throw new Error(`${name} was read`)
      // One at a time, and then none: readers answer in parts.
      const rest = [...children]
      return { readEntries: (resolve: (entries: Entry[]) => void) => resolve(rest.splice(0, 1)) }
    },
  })
}

function dropped(...entries: Entry[]): DataTransferItemList {
  return entries.map((entry) => ({
    webkitGetAsEntry: () => entry,
  })) as unknown as DataTransferItemList
}
