import { GitBranch, Rocket, Upload } from 'lucide-react'
import { useState } from 'react'

import type { Project } from '@/api/types'
import { useDeploy } from '@/deployment/useDeploy'
import { DeploymentList } from '@/deployment/DeploymentList'
import { DomainBar } from '@/domain/DomainBar'
import { shortRepository } from '@/format/source'
import { useCommands } from '@/shell/commands'
import { PageTitle, Section } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'

import { Branches } from './Branches'
import { PinnedBar } from './PinnedBar'
import { ProductionCard } from './ProductionCard'
import { useProject } from './ProjectLayout'
import { UploadDialog } from './UploadDialog'

export function Component() {
  const project = useProject()
  return (
    <div className="page flex flex-col gap-8">
      <div className="flex flex-col gap-2">
        <PageTitle title={project.name}>
          <DeployButtons project={project} />
        </PageTitle>
        {project.gitURL && (
          <p className="flex items-center gap-1.5 text-sm text-ink-3">
            <GitBranch size={14} aria-hidden />
            <span className="truncate">{shortRepository(project.gitURL)}</span>
          </p>
        )}
      </div>
      {project.pinned && <PinnedBar project={project} />}
      <DomainBar project={project} />
      <ProductionCard project={project} />
      {project.latest && (
        <>
          <Branches project={project} />
          <Section title="Deployments">
            <DeploymentList project={project} />
          </Section>
        </>
      )}
    </div>
  )
}

function DeployButtons({ project }: { project: Project }) {
  const deploy = useDeploy(project)
  const [uploading, setUploading] = useState(false)
  const reason =
    project.state === 'suspended' ? 'The project is suspended: nothing can be deployed.' : undefined
  const deployNow = () => deploy.mutate({ projectId: project.id })
  useCommands([
    ...(project.gitURL
      ? [{ id: 'deploy', label: `Deploy ${project.productionBranch}`, reason, run: deployNow }]
      : []),
    { id: 'upload', label: 'Upload a folder', reason, run: () => setUploading(true) },
  ])
  return (
    <>
      <Button
        reason={reason}
        onClick={() => setUploading(true)}
        look={project.gitURL ? 'secondary' : 'primary'}
      >
        <Upload size={16} aria-hidden /> Upload a folder
      </Button>
      {project.gitURL && (
        <Button look="primary" pending={deploy.isPending} reason={reason} onClick={deployNow}>
          {!deploy.isPending && <Rocket size={16} aria-hidden />} Deploy {project.productionBranch}
        </Button>
      )}
      {uploading && <UploadDialog project={project} onClose={() => setUploading(false)} />}
    </>
  )
}
