import { useQuery } from '@tanstack/react-query'
import { GitBranch, GitCommitHorizontal, Undo2 } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { Link } from 'react-router'

import { queries } from '@/api/queries'
import type { Deployment, Project } from '@/api/types'
import { count, size } from '@/format/size'
import { shortCommit, title } from '@/format/source'
import { FrameworkLogo } from '@/frameworks/FrameworkLogo'
import { frameworkName } from '@/frameworks/frameworks'
import { paths } from '@/paths'
import { useCommands } from '@/shell/commands'
import { Button } from '@/ui/Button'
import { CommandLine, CopyButton } from '@/ui/CopyButton'
import { Empty } from '@/ui/Loaded'
import { SiteLink } from '@/ui/SiteLink'
import { StatusMark, SuspendedMark } from '@/ui/StatusMark'
import { When } from '@/ui/When'

import { RollbackDialog } from './RollbackDialog'

// ProductionCard answers: what is in production, how did it get there, and can
// I go back?
export function ProductionCard({ project }: { project: Project }) {
  const { production } = project
  if (!production) return <NoProduction project={project} />
  const { source } = production
  return (
    <section aria-label="Production" className="overflow-hidden card">
      <header className="flex flex-wrap items-center gap-x-4 gap-y-3 px-5 py-4">
        <FrameworkLogo framework={source.framework ?? project.framework} size={36} />
        <div className="flex min-w-0 grow flex-col">
          <h2 className="text-sm text-ink-3">Production</h2>
          <div className="flex min-w-0 items-center gap-1">
            <SiteLink url={project.url} className="text-lg font-medium" />
            <CopyButton text={project.url} label="Copy the address" />
          </div>
        </div>
        {project.state === 'suspended' ? (
          <SuspendedMark />
        ) : (
          <StatusMark status={production.status} />
        )}
        <Rollback project={project} production={production} />
      </header>
      <dl className="grid grid-cols-2 gap-x-6 gap-y-4 border-t border-line px-5 py-4 lg:grid-cols-4">
        <Fact name="Deployment">
          <Link
            to={paths.deployment(project, production)}
            className="inline-flex min-h-6 items-center font-mono text-sm link"
          >
            {production.hostId}
          </Link>
          <p className="truncate">{title(production)}</p>
        </Fact>
        <Fact name="Source">
          <SourceFacts deployment={production} />
        </Fact>
        <Fact name="Live">
          <p className="flex min-h-6 items-center">
            {production.liveAt ? <When at={production.liveAt} /> : 'Being published'}
          </p>
          {source.author && <p className="truncate text-ink-2">by {source.author}</p>}
        </Fact>
        <Fact name="Contents">
          <p className="flex min-h-6 items-center">
            {count(production.files, 'file')}, {size(production.bytes)}
          </p>
          <p className="text-ink-2">{frameworkName(source.framework ?? project.framework)}</p>
        </Fact>
      </dl>
    </section>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-sm text-ink-3">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </div>
  )
}

function SourceFacts({ deployment: { source, kind } }: { deployment: Deployment }) {
  if (!source.branch && !source.commit) {
    return (
      <p className="flex min-h-6 items-center">
        {kind === 'archive' ? 'Uploaded sources' : 'Uploaded files'}
      </p>
    )
  }
  return (
    <>
      <p className="flex min-h-6 items-center gap-1.5">
        <GitBranch size={14} className="shrink-0 text-ink-3" aria-hidden />
        <span className="truncate">{source.branch ?? 'No branch'}</span>
      </p>
      {source.commit && (
        <p className="flex items-center gap-1.5 text-ink-2">
          <GitCommitHorizontal size={14} className="shrink-0 text-ink-3" aria-hidden />
          <code className="font-mono text-sm">{shortCommit(source.commit)}</code>
        </p>
      )}
    </>
  )
}

type RollbackProps = { project: Project; production: Deployment }

function Rollback({ project, production }: RollbackProps) {
  const [open, setOpen] = useState(false)
  const ready = useQuery({
    ...queries.readyDeployments(project.id),
    select: ({ items }) => items.filter(({ id }) => id !== production.id),
  })
  const earlier = (ready.data ?? []).filter(
    ({ createdAt }) => Date.parse(createdAt) < Date.parse(production.createdAt),
  )
  const reason =
    ready.data && earlier.length === 0 ? 'There is no earlier deployment to go back to.' : undefined
  const show = () => setOpen(true)
  useCommands([{ id: 'roll-back', label: 'Roll back production…', reason, run: show }])
  return (
    <>
      <Button reason={reason} onClick={show}>
        <Undo2 size={16} aria-hidden /> Roll back…
      </Button>
      {open && earlier.length > 0 && (
        <RollbackDialog project={project} candidates={earlier} onClose={() => setOpen(false)} />
      )}
    </>
  )
}

function NoProduction({ project }: { project: Project }) {
  const command = project.gitURL
    ? `mini-vercel deploy --git ${project.gitURL} --project ${project.subDomain}`
    : `mini-vercel deploy ./my-site --project ${project.subDomain} --prod`
  return (
    <Empty title="Nothing is in production yet">
      <p className="text-ink-2">The first deployment that is ready gets {project.url}.</p>
      <CommandLine command={command} />
    </Empty>
  )
}
