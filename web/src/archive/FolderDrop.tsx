import clsx from 'clsx'
import { FolderUp } from 'lucide-react'
import { useId, useState, type DragEvent } from 'react'

import { count, size } from '@/format/size'
import { Button } from '@/ui/Button'
import { toast } from '@/ui/toast'

import { fromDrop, fromPicker, sizeOf, type Folder } from './folder'

type FolderDropProps = { folder: Folder | undefined; onFolder: (folder: Folder) => void }

// FolderDrop takes a folder by drag and drop, or from the browser's own picker.
export function FolderDrop({ folder, onFolder }: FolderDropProps) {
  const id = useId()
  const [over, setOver] = useState(false)
  const take = (taken: Folder) => {
    if (taken.files.length === 0) toast.failed(new Error('There are no files in this folder.'))
    else onFolder(taken)
  }
  const drop = (event: DragEvent) => {
    event.preventDefault()
    setOver(false)
    fromDrop(event.dataTransfer.items).then(take, toast.failed)
  }
  const pick = () => document.getElementById(id)?.click()
  return (
    <div
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={clsx(
        'flex flex-col items-center gap-3 rounded-lg border border-dashed px-4 py-8 text-center',
        over ? 'border-accent bg-accent-soft' : 'border-field-line',
      )}
    >
      <input
        id={id}
        type="file"
        aria-label="Folder"
        className="sr-only"
        tabIndex={-1}
        multiple
        ref={(input) => input?.setAttribute('webkitdirectory', '')}
        onChange={(event) => {
          take(fromPicker(event.target.files ?? []))
          event.target.value = ''
        }}
      />
      <FolderUp size={24} className="text-ink-3" aria-hidden />
      {folder ? (
        <>
          <p>
            <span className="font-medium">{folder.name}</span>{' '}
            <span className="text-ink-2">
              {count(folder.files.length, 'file')}, {size(sizeOf(folder))}
            </span>
          </p>
          {folder.leftOut > 0 && (
            <p className="text-sm text-ink-3">
              Left out: .git, node_modules and .env files, where there were any.
            </p>
          )}
          <Button size="small" onClick={pick}>
            Choose another
          </Button>
        </>
      ) : (
        <>
          <p>Drop a folder here: sources that are built, or files that are served as they are.</p>
          <Button size="small" onClick={pick}>
            Choose a folder
          </Button>
        </>
      )}
    </div>
  )
}
