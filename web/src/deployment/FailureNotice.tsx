import { useSyncExternalStore } from 'react'
import { Link } from 'react-router'

import type { Deployment, Project } from '@/api/types'
import { culprit, type LogBuffer } from '@/log/buffer'
import { paths } from '@/paths'
import { StatusShape } from '@/ui/StatusMark'

type FailureNoticeProps = { project: Project; deployment: Deployment; buffer: LogBuffer }

// FailureNotice is the one sentence that says why, and the way to the line of
// the log that it is about.
export function FailureNotice({ project, deployment, buffer }: FailureNoticeProps) {
  useSyncExternalStore(buffer.subscribe, buffer.snapshot)
  const { status, reason } = deployment
  if (status === 'CANCELED' && reason) {
    return (
      <p className="flex items-center gap-3 rounded-lg border border-line px-4 py-3 text-ink-2">
        <StatusShape status={status} /> {reason}
      </p>
    )
  }
  if (status !== 'FAIL') return null
  const line = culprit(buffer, deployment.phase ?? deployment.phases.at(-1)?.phase)
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-x-4 gap-y-2 rounded-lg border border-bad-line bg-bad-soft px-4 py-3"
    >
      <StatusShape status={status} />
      <p className="min-w-0 grow basis-64 font-medium break-words">
        {reason ?? 'The build failed.'}
      </p>
      {line !== undefined && (
        <Link
          to={paths.logLine(project, deployment, line + 1)}
          replace
          preventScrollReset
          className="inline-flex min-h-6 items-center link"
        >
          Line {line + 1} of the log
        </Link>
      )}
    </div>
  )
}
