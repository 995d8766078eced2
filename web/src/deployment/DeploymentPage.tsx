import { useQuery } from '@tanstack/react-query'
import { ArrowUpRight } from 'lucide-react'
import { useState } from 'react'
import { useParams } from 'react-router'

import { isStatus } from '@/api/error'
import { queries } from '@/api/queries'
import type { Deployment, Project } from '@/api/types'
import { DomainBar } from '@/domain/DomainBar'
import { title } from '@/format/source'
import { LogViewer } from '@/log/LogViewer'
import { useLogStream } from '@/log/useLogStream'
import { useProject } from '@/project/ProjectLayout'
import { useCommands } from '@/shell/commands'
import { PageTitle, Section } from '@/shell/PageTitle'
import { NotFoundPage } from '@/shell/RouteError'
import { Button } from '@/ui/Button'
import { Loaded, Skeleton } from '@/ui/Loaded'
import { StatusMark, statusWord } from '@/ui/StatusMark'

import { DeleteDialog } from './DeleteDialog'
import { EnvironmentTag } from './DeploymentRow'
import { Facts } from './Facts'
import { FailureNotice } from './FailureNotice'
import { Files } from './Files'
import { Hosts } from './Hosts'
import { PhaseBar } from './PhaseBar'
import { protectedHosts, ShareDialog } from './ShareDialog'
import { useActions, type Action } from './useActions'
import { Warnings } from './Warnings'

export function Component() {
  const project = useProject()
  const { hostId = '' } = useParams()
  const deployment = useQuery(queries.deployment(project.id, hostId))
  if (isStatus(deployment.error, 404)) return <NotFoundPage what="This deployment" />
  return (
    <div className="page flex flex-col gap-6">
      <Loaded query={deployment} what="the deployment" skeleton={<DeploymentSkeleton />}>
        {(data) => <Body key={data.id} project={project} deployment={data} />}
      </Loaded>
    </div>
  )
}

function Body({ project, deployment }: { project: Project; deployment: Deployment }) {
  const { buffer, state, delayed } = useLogStream(deployment)
  return (
    <>
      <div className="flex flex-col gap-3">
        <PageTitle
          title={title(deployment)}
          tab={`${statusWord(deployment.status)} · ${deployment.hostId} · ${project.name}`}
        >
          <Actions project={project} deployment={deployment} />
        </PageTitle>
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <span role="status">
            <StatusMark status={deployment.status} className="font-medium" />
          </span>
          <EnvironmentTag deployment={deployment} />
          <Facts deployment={deployment} />
        </div>
      </div>
      {deployment.inProduction && <DomainBar project={project} />}
      <FailureNotice project={project} deployment={deployment} buffer={buffer} />
      <PhaseBar deployment={deployment} />
      <Hosts project={project} deployment={deployment} />
      <Section title="Log">
        <LogViewer deployment={deployment} buffer={buffer} state={state} delayed={delayed} />
      </Section>
      <Warnings warnings={deployment.warnings} />
      <Files deployment={deployment} />
    </>
  )
}

function Actions({ project, deployment }: { project: Project; deployment: Deployment }) {
  const actions = useActions(project, deployment)
  const [deleting, setDeleting] = useState(false)
  const [sharing, setSharing] = useState(false)
  const press = (action: Action) => (action.id === 'delete' ? setDeleting(true) : action.run())
  const hosts = protectedHosts(project, deployment)
  const share = () => setSharing(true)
  useCommands([
    ...actions.map((action) => ({ ...action, run: () => press(action) })),
    ...(hosts.length > 0 ? [{ id: 'share', label: 'Share a link…', run: share }] : []),
  ])
  const remove = actions.find(({ id }) => id === 'delete')
  const visit =
    deployment.status === 'READY' ? (deployment.url ?? deployment.deploymentUrl) : undefined
  const main = actions.find(({ id }) => id === 'retry')?.id
  return (
    <>
      {actions
        .filter((action) => action.id !== 'promote' || !action.reason)
        .toReversed()
        .map((action) => (
          <Button
            key={action.id}
            look={action.id === 'delete' ? 'quiet' : action.id === main ? 'primary' : 'secondary'}
            pending={action.pending}
            reason={action.reason}
            onClick={() => press(action)}
          >
            {action.label}
          </Button>
        ))}
      {visit && (
        <Button reason={hosts.length > 0 ? undefined : whyNotShared(project)} onClick={share}>
          Share…
        </Button>
      )}
      {visit && (
        <a
          href={visit}
          target="_blank"
          rel="noreferrer"
          className="inline-flex min-h-9 items-center gap-1 rounded-md bg-ink px-3.5 font-medium text-canvas hover:bg-ink-2"
        >
          Visit <ArrowUpRight size={16} aria-hidden />
        </a>
      )}
      {sharing && <ShareDialog project={project} hosts={hosts} onClose={() => setSharing(false)} />}
      {deleting && remove && (
        <DeleteDialog deployment={deployment} action={remove} onClose={() => setDeleting(false)} />
      )}
    </>
  )
}

function whyNotShared({ access }: Project): string {
  return access
    ? 'None of its addresses asks for a password: copy one below.'
    : 'The project is open to everyone: copy an address below.'
}

function DeploymentSkeleton() {
  return (
    <div className="flex flex-col gap-6">
      <Skeleton className="h-7 w-72" />
      <Skeleton className="h-5 w-96 max-w-full" />
      <Skeleton className="h-16" />
      <Skeleton className="h-96" />
    </div>
  )
}
