import { useQuery } from '@tanstack/react-query'
import {
  Outlet,
  useNavigate,
  useOutletContext,
  useParams,
  type LoaderFunctionArgs,
} from 'react-router'

import { isStatus } from '@/api/error'
import { queries, queryClient } from '@/api/queries'
import type { Project } from '@/api/types'
import { paths } from '@/paths'
import { useCommands } from '@/shell/commands'
import { NotFoundPage } from '@/shell/RouteError'
import { Loaded, Skeleton, SkeletonRows } from '@/ui/Loaded'

import { SuspendedBar } from './SuspendedBar'

export function loader({ params }: LoaderFunctionArgs) {
  void queryClient.prefetchQuery(queries.project(params.subDomain ?? ''))
  return null
}

// The pages of a project are drawn once the project is there; they get it from
// useProject.
export function Component() {
  const { subDomain = '' } = useParams()
  const project = useQuery(queries.project(subDomain))
  const navigate = useNavigate()
  useCommands([
    {
      id: 'explain',
      label: 'Explain an address',
      run: () => void navigate(paths.explain({ subDomain })),
    },
  ])
  if (isStatus(project.error, 404)) return <NotFoundPage what="This project" />
  if (project.data) {
    return (
      <>
        <SuspendedBar project={project.data} />
        <Outlet context={project.data} />
      </>
    )
  }
  return (
    <div className="page">
      <Loaded query={project} what="the project" skeleton={<ProjectSkeleton />}>
        {() => null}
      </Loaded>
    </div>
  )
}

export function useProject(): Project {
  return useOutletContext<Project>()
}

function ProjectSkeleton() {
  return (
    <div className="flex flex-col gap-8">
      <Skeleton className="h-7 w-48" />
      <Skeleton className="h-44" />
      <SkeletonRows />
    </div>
  )
}
