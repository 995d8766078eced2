import { GitBranch } from 'lucide-react'
import { Link } from 'react-router'

import type { Deployment, Project } from '@/api/types'
import { shortCommit, title } from '@/format/source'
import { FrameworkLogo } from '@/frameworks/FrameworkLogo'
import { paths } from '@/paths'
import { SiteLink } from '@/ui/SiteLink'
import { StatusMark, SuspendedMark } from '@/ui/StatusMark'
import { When } from '@/ui/When'

// ProjectCard answers: is the site up, what is live since when, and is something
// building or broken on top of it?
export function ProjectCard({ project }: { project: Project }) {
  const { production, latest } = project
  const framework = production?.source.framework ?? latest?.source.framework ?? project.framework
  return (
    <article className="relative flex h-full flex-col gap-4 card p-4 transition-colors hover:border-line-strong">
      <header className="flex items-start gap-3">
        <FrameworkLogo framework={framework} />
        <div className="flex min-w-0 grow flex-col">
          <h2 className="truncate font-semibold">
            <Link
              to={paths.project(project)}
              className="after:absolute after:inset-0 after:rounded-lg"
            >
              {project.name}
            </Link>
          </h2>
          {production ? (
            <SiteLink url={project.url} className="relative z-10 self-start text-sm" />
          ) : (
            <span className="flex min-h-6 items-center text-sm text-ink-3">
              No production deployment
            </span>
          )}
        </div>
        <Health project={project} />
      </header>
      <div className="mb-auto flex flex-col gap-1 text-sm">
        {production ? (
          <Summary deployment={production} />
        ) : latest ? (
          <Summary deployment={latest} />
        ) : (
          <p className="text-ink-3">Push to it or deploy a folder to see it live.</p>
        )}
      </div>
      {production && latest && latest.id !== production.id && latest.status !== 'READY' && (
        <p className="-mx-4 -mb-4 flex items-center gap-2 border-t border-line px-4 py-2 text-sm text-ink-2">
          <StatusMark status={latest.status} />
          <span className="min-w-0 grow truncate">{title(latest)}</span>
          <span className="text-ink-3">
            <When at={latest.createdAt} />
          </span>
        </p>
      )}
    </article>
  )
}

function Health({ project: { state, production, latest } }: { project: Project }) {
  if (state === 'suspended') return <SuspendedMark className="min-h-6 text-sm" />
  if (state === 'deleted') return <span className="text-sm text-ink-3">Being deleted</span>
  const status = production?.status ?? latest?.status ?? 'NOT_STARTED'
  if (status === 'NOT_STARTED') return null
  return <StatusMark status={status} className="min-h-6 text-sm" />
}

function Summary({ deployment }: { deployment: Deployment }) {
  const { source } = deployment
  return (
    <>
      <p className="truncate">{title(deployment)}</p>
      <p className="flex min-w-0 items-center gap-1.5 text-ink-3">
        <When at={deployment.liveAt ?? deployment.createdAt} />
        {source.author && <span className="truncate">by {source.author}</span>}
        {source.branch && (
          <span className="flex min-w-0 items-center gap-1">
            <GitBranch size={12} className="shrink-0" aria-hidden />
            <span className="truncate">{source.branch}</span>
          </span>
        )}
        {source.commit && <code className="font-mono text-xs">{shortCommit(source.commit)}</code>}
      </p>
    </>
  )
}
