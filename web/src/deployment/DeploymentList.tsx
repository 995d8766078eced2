import { useInfiniteQuery } from '@tanstack/react-query'
import { useSearchParams } from 'react-router'

import type { DeploymentFilter } from '@/api/calls'
import { queries } from '@/api/queries'
import type { Deployment, Project } from '@/api/types'
import { Button } from '@/ui/Button'
import { CommandLine } from '@/ui/CopyButton'
import { Empty, Failed, SkeletonRows } from '@/ui/Loaded'

import { DeploymentFilters, statuses } from './DeploymentFilters'
import { DeploymentRow } from './DeploymentRow'

// DeploymentList shows a project's deployments, or those of all projects, newest
// first. Its filters stand in the address.
export function DeploymentList({ project, projects }: { project?: Project; projects?: Project[] }) {
  const [search, setSearch] = useSearchParams()
  const filter = filterOf(search)
  const list = useInfiniteQuery(
    project ? queries.deployments(project.id, filter) : queries.allDeployments(filter),
  )
  const items = list.data?.pages.flatMap((page) => page.items)
  const filtered = Object.keys(filter).length > 0
  const setFilter = (name: keyof DeploymentFilter, value: string) =>
    setSearch(
      (before) => {
        const next = new URLSearchParams(before)
        if (value) next.set(name, value)
        else next.delete(name)
        return next
      },
      { replace: true, preventScrollReset: true },
    )

  return (
    <div className="flex flex-col gap-3">
      {(filtered || items === undefined || items.length > 0) && (
        <DeploymentFilters
          filter={filter}
          branches={branchesOf(items ?? [], filter.branch)}
          onFilter={setFilter}
        />
      )}
      {items === undefined ? (
        list.error ? (
          <Failed
            what="Could not load the deployments."
            error={list.error}
            pending={list.isFetching}
            retry={() => void list.refetch()}
          />
        ) : (
          <SkeletonRows />
        )
      ) : items.length === 0 ? (
        <NoDeployments project={project} filtered={filtered} onClear={() => setSearch({})} />
      ) : (
        <>
          <ul className="divide-y divide-line card">
            {items.map((deployment) => (
              <DeploymentRow
                key={deployment.id}
                deployment={deployment}
                project={project ?? projects?.find(({ id }) => id === deployment.projectId)}
                named={!project}
              />
            ))}
          </ul>
          {list.hasNextPage ? (
            <Button
              className="self-center"
              pending={list.isFetchingNextPage}
              onClick={() => void list.fetchNextPage()}
            >
              Show older
            </Button>
          ) : (
            <p className="text-center text-sm text-ink-3">That is all of them.</p>
          )}
        </>
      )}
    </div>
  )
}

type NoDeploymentsProps = { project: Project | undefined; filtered: boolean; onClear: () => void }

function NoDeployments({ project, filtered, onClear }: NoDeploymentsProps) {
  if (filtered) {
    return (
      <Empty title="No deployment is like that">
        <Button onClick={onClear}>Show all</Button>
      </Empty>
    )
  }
  const name = project ? ` --project ${project.subDomain}` : ''
  return (
    <Empty title="No deployments yet">
      <CommandLine command={`mini-vercel deploy ./my-site${name}`} />
    </Empty>
  )
}

// filterOf reads the filters of an address; what is no status or environment is
// not asked for.
export function filterOf(search: URLSearchParams): DeploymentFilter {
  const filter: DeploymentFilter = {}
  const status = statuses.find((one) => one === search.get('status'))
  const environment = (['production', 'preview'] as const).find(
    (one) => one === search.get('environment'),
  )
  const branch = search.get('branch')
  if (status) filter.status = status
  if (environment) filter.environment = environment
  if (branch) filter.branch = branch
  return filter
}

function branchesOf(deployments: Deployment[], chosen: string | undefined): string[] {
  const names = new Set(deployments.flatMap(({ source }) => source.branch ?? []))
  if (chosen) names.add(chosen)
  return [...names].toSorted((a, b) => a.localeCompare(b))
}
