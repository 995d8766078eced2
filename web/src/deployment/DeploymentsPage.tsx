import { useQuery } from '@tanstack/react-query'

import { queries } from '@/api/queries'
import { PageTitle } from '@/shell/PageTitle'

import { DeploymentList } from './DeploymentList'

export function Component() {
  const projects = useQuery(queries.projects())
  return (
    <div className="page flex flex-col gap-6">
      <PageTitle title="Deployments" />
      <DeploymentList projects={projects.data ?? []} />
    </div>
  )
}
