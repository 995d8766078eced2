import { isLeftOut, isPathLeftOut } from './rules'

// A Folder is what a person has dropped or picked: paths are relative to it,
// with slashes.
export type FolderFile = { path: string; file: File }
export type Folder = { name: string; files: FolderFile[]; leftOut: number }

// fromPicker reads the files of an <input webkitdirectory>.
export function fromPicker(list: Iterable<File>): Folder {
  let name = 'folder'
  let leftOut = 0
  const files: FolderFile[] = []
  for (const file of list) {
    const [root = '', ...rest] = file.webkitRelativePath.split('/')
    if (root !== '') name = root
    const path = rest.length > 0 ? rest.join('/') : file.name
    if (isPathLeftOut(path)) leftOut++
    else files.push({ path, file })
  }
  return { name, files, leftOut }
}

// fromDrop reads what was dropped on the page: one folder, or loose files. Its
// entries must be taken before the event is over, so call it within the handler.
export async function fromDrop(items: DataTransferItemList): Promise<Folder> {
  const entries = Array.from(items)
    .map((item) => item.webkitGetAsEntry())
    .filter((entry) => entry !== null)
  const only = entries.length === 1 ? entries[0] : undefined
  const folder: Folder = { name: only?.isDirectory ? only.name : 'files', files: [], leftOut: 0 }
  if (only?.isDirectory) {
    for (const child of await children(only as FileSystemDirectoryEntry))
      await walk(child, '', folder)
  } else {
    for (const entry of entries) await walk(entry, '', folder)
  }
  return folder
}

async function walk(entry: FileSystemEntry, parent: string, folder: Folder): Promise<void> {
  if (isLeftOut(entry.name)) {
    folder.leftOut++
    return
  }
  const path = parent + entry.name
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    )
    folder.files.push({ path, file })
    return
  }
  for (const child of await children(entry as FileSystemDirectoryEntry)) {
    await walk(child, `${path}/`, folder)
  }
}

// A reader gives a hundred entries at a time, and none at the end.
async function children(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader()
  const all: FileSystemEntry[] = []
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    )
    if (some.length === 0) return all
    all.push(...some)
  }
}

export function sizeOf(folder: Folder): number {
  return folder.files.reduce((sum, { file }) => sum + file.size, 0)
}
