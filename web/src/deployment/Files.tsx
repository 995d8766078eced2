import { useInfiniteQuery } from '@tanstack/react-query'
import { Search } from 'lucide-react'
import { useState } from 'react'

import { queries } from '@/api/queries'
import type { Deployment } from '@/api/types'
import { count, size } from '@/format/size'
import { Section } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { Failed, SkeletonRows } from '@/ui/Loaded'
import { useSettled } from '@/ui/useSettled'

// Files lists what a deployment serves, by path.
export function Files({ deployment }: { deployment: Deployment }) {
  const [prefix, setPrefix] = useState('')
  const wanted = useSettled(prefix, 250)
  const ready = deployment.status === 'READY'
  const list = useInfiniteQuery({ ...queries.files(deployment.id, wanted), enabled: ready })
  if (!ready) return null
  const files = list.data?.pages.flatMap((page) => page.items)
  return (
    <Section
      title="Files"
      aside={
        <span className="text-sm text-ink-3">
          {count(deployment.files, 'file')}, {size(deployment.bytes)};{' '}
          {count(deployment.uploadedBlobs, 'new blob')} uploaded
        </span>
      }
    >
      {deployment.files > 20 && (
        <div className="relative flex items-center">
          <Search size={14} className="absolute left-3 text-ink-3" aria-hidden />
          <input
            type="search"
            aria-label="Files whose path begins with"
            placeholder="Path begins with /assets/"
            spellCheck={false}
            value={prefix}
            onChange={(event) => setPrefix(event.target.value)}
            className="field min-h-8 border-line-strong py-1 pl-8 font-mono text-sm"
          />
        </div>
      )}
      {files === undefined ? (
        list.error ? (
          <Failed
            what="Could not load the files."
            error={list.error}
            pending={list.isFetching}
            retry={() => void list.refetch()}
          />
        ) : (
          <SkeletonRows rows={3} />
        )
      ) : files.length === 0 ? (
        <p className="py-4 text-center text-ink-3">No path begins with {wanted}.</p>
      ) : (
        <ul className="divide-y divide-line card">
          {files.map((file) => (
            <li key={file.path} className="flex min-w-0 items-baseline gap-4 px-4 py-1.5 text-sm">
              <span className="min-w-0 grow font-mono break-all">{file.path}</span>
              <span className="truncate text-ink-3 max-sm:hidden">
                {file.contentType.split(';', 1)[0]}
              </span>
              <span className="tabular w-20 shrink-0 text-right text-ink-2">{size(file.size)}</span>
            </li>
          ))}
        </ul>
      )}
      {list.hasNextPage && (
        <Button
          className="self-center"
          pending={list.isFetchingNextPage}
          onClick={() => void list.fetchNextPage()}
        >
          Show more
        </Button>
      )}
    </Section>
  )
}
