import clsx from 'clsx'
import { GitBranch } from 'lucide-react'
import { Link } from 'react-router'

import type { Deployment, Project } from '@/api/types'
import { shortCommit, title } from '@/format/source'
import { paths } from '@/paths'
import { StatusMark } from '@/ui/StatusMark'
import { Lasted, When } from '@/ui/When'

import { DeploymentMenu } from './DeploymentMenu'

type DeploymentRowProps = {
  deployment: Deployment
  project: Project | undefined
  named: boolean // the project's name is shown
}

// DeploymentRow is a line of a table on a wide screen and a card on a narrow
// one.
export function DeploymentRow({ deployment, project, named }: DeploymentRowProps) {
  const { source, status } = deployment
  const subDomain = project?.subDomain ?? deployment.projectId
  return (
    <li className="relative grid grid-cols-[1fr_auto] items-center gap-x-4 gap-y-1 py-2.5 pr-2 pl-4 hover:bg-hover/50 md:grid-cols-[7rem_minmax(0,1fr)_minmax(0,11rem)_4.5rem_5rem_2rem]">
      <StatusMark status={status} className="max-md:order-1" />
      <div className="min-w-0 max-md:order-3 max-md:col-span-2 max-md:pr-2">
        <p className="flex min-w-0 items-center gap-2">
          <Link
            to={paths.deployment({ subDomain }, deployment)}
            className="truncate font-medium after:absolute after:inset-0"
          >
            {title(deployment)}
          </Link>
          <EnvironmentTag deployment={deployment} />
        </p>
        <p className="flex min-w-0 items-center gap-1.5 text-sm text-ink-3">
          {named && <span className="shrink-0 text-ink-2">{project?.name}</span>}
          <code className="font-mono text-xs">{deployment.hostId}</code>
          {status === 'FAIL' && deployment.reason && (
            <span className="truncate">{deployment.reason}</span>
          )}
        </p>
      </div>
      <div className="min-w-0 text-sm text-ink-2 max-md:order-4 max-md:flex max-md:items-center max-md:gap-3">
        {source.branch && (
          <p className="flex min-w-0 items-center gap-1.5">
            <GitBranch size={12} className="shrink-0 text-ink-3" aria-hidden />
            <span className="truncate">{source.branch}</span>
            {source.commit && (
              <code className="font-mono text-xs text-ink-3">{shortCommit(source.commit)}</code>
            )}
          </p>
        )}
        {source.author && <p className="truncate text-ink-3">{source.author}</p>}
      </div>
      <p className="text-sm text-ink-2 max-md:order-5 max-md:pr-2 max-md:text-right md:text-right">
        <Took deployment={deployment} />
      </p>
      <p className="text-right text-sm text-ink-3 max-md:order-2 max-md:pr-9">
        <When at={deployment.createdAt} />
      </p>
      <div className="relative z-10 max-md:absolute max-md:top-1.5 max-md:right-2">
        {project && <DeploymentMenu deployment={deployment} project={project} />}
      </div>
    </li>
  )
}

export function EnvironmentTag({ deployment }: { deployment: Deployment }) {
  const { inProduction, environment } = deployment
  return (
    <span
      className={clsx(
        'shrink-0 rounded-sm border px-1.5 text-xs leading-4.5',
        inProduction ? 'border-accent-line bg-accent-soft text-accent' : 'border-line text-ink-3',
      )}
    >
      {inProduction ? 'In production' : environment === 'production' ? 'Production' : 'Preview'}
    </span>
  )
}

function Took({ deployment: { startedAt, endedAt, status } }: { deployment: Deployment }) {
  if (!startedAt || status === 'QUEUED') return null
  return <Lasted from={startedAt} to={endedAt} />
}
