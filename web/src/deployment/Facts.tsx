import { GitBranch, GitCommitHorizontal } from 'lucide-react'

import type { Deployment } from '@/api/types'
import { shortCommit } from '@/format/source'
import { frameworkName } from '@/frameworks/frameworks'
import { Lasted, When } from '@/ui/When'

// Facts are where a deployment came from and how long it took, in one line.
export function Facts({ deployment }: { deployment: Deployment }) {
  const { source, startedAt, endedAt, createdAt, attempt } = deployment
  return (
    <ul
      className="flex flex-wrap items-center gap-x-4 gap-y-1 text-sm text-ink-2"
      aria-label="Facts"
    >
      {source.branch && (
        <li className="flex items-center gap-1.5">
          <GitBranch size={14} className="text-ink-3" aria-hidden />
          {source.branch}
        </li>
      )}
      {source.commit && (
        <li className="flex items-center gap-1.5">
          <GitCommitHorizontal size={14} className="text-ink-3" aria-hidden />
          <code className="font-mono">{shortCommit(source.commit)}</code>
        </li>
      )}
      {source.author && <li>{source.author}</li>}
      {source.framework && <li>{frameworkName(source.framework)}</li>}
      <li>
        <When at={createdAt} />
      </li>
      {startedAt && (
        <li>
          {endedAt ? 'took' : 'for'} <Lasted from={startedAt} to={endedAt} />
        </li>
      )}
      {attempt > 1 && <li>attempt {attempt}</li>}
    </ul>
  )
}
