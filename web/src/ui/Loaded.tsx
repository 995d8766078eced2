import type { UseQueryResult } from '@tanstack/react-query'
import clsx from 'clsx'
import type { ReactNode } from 'react'

import { messageOf } from '@/api/error'

import { Button } from './Button'

type LoadedProps<Data> = {
  query: Pick<UseQueryResult<Data>, 'data' | 'error' | 'isFetching' | 'refetch'>
  what: string // what failed to load: "the projects"
  skeleton: ReactNode
  children: (data: Data) => ReactNode
}

// Loaded shows a query's data, and until it is there a skeleton of its shape or
// what went wrong. Data that was once there stays, whatever happens to a
// refresh.
export function Loaded<Data>({ query, what, skeleton, children }: LoadedProps<Data>) {
  if (query.data !== undefined) return children(query.data)
  if (!query.error) return <div aria-busy="true">{skeleton}</div>
  return (
    <Failed
      what={`Could not load ${what}.`}
      error={query.error}
      pending={query.isFetching}
      retry={() => void query.refetch()}
    />
  )
}

type FailedProps = { what: string; error: unknown; pending?: boolean; retry?: () => void }

export function Failed({ what, error, pending = false, retry }: FailedProps) {
  return (
    <div role="alert" className="flex flex-wrap items-center justify-between gap-4 card p-5">
      <div>
        <p className="font-medium">{what}</p>
        <p className="text-ink-2">{messageOf(error)}</p>
      </div>
      {retry && (
        <Button pending={pending} onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  )
}

export function Skeleton({ className }: { className?: string }) {
  return <div className={clsx('animate-breathe rounded-md bg-hover', className)} aria-hidden />
}

export function SkeletonRows({ rows = 5 }: { rows?: number }) {
  return (
    <div className="divide-y divide-line card">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="flex items-center gap-4 px-4 py-3.5">
          <Skeleton className="h-4 w-20" />
          <Skeleton className="h-4 grow" />
          <Skeleton className="h-4 w-16" />
        </div>
      ))}
    </div>
  )
}

type EmptyProps = { title: string; children?: ReactNode }

export function Empty({ title, children }: EmptyProps) {
  return (
    <div className="flex flex-col items-center gap-4 rounded-lg border border-dashed border-line-strong px-6 py-12 text-center">
      <p className="text-lg font-medium">{title}</p>
      {children}
    </div>
  )
}
