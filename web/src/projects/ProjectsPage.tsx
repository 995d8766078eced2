import { useQuery } from '@tanstack/react-query'
import { Plus, Search } from 'lucide-react'
import { useSearchParams } from 'react-router'

import { queries, queryClient } from '@/api/queries'
import type { Project } from '@/api/types'
import { paths } from '@/paths'
import { PageTitle } from '@/shell/PageTitle'
import { rank } from '@/shell/rank'
import { ButtonLink } from '@/ui/Button'
import { CommandLine } from '@/ui/CopyButton'
import { Empty, Loaded, Skeleton } from '@/ui/Loaded'

import { ProjectCard } from './ProjectCard'

export function loader() {
  void queryClient.prefetchQuery(queries.projects())
  return null
}

export function Component() {
  const projects = useQuery(queries.projects())
  const [search, setSearch] = useSearchParams()
  const query = search.get('q') ?? ''
  const setQuery = (text: string) =>
    setSearch(text === '' ? {} : { q: text }, { replace: true, preventScrollReset: true })
  return (
    <div className="page flex flex-col gap-6">
      <PageTitle title="Projects">
        <ButtonLink to={paths.newProject()} look="primary">
          <Plus size={16} aria-hidden /> New project
        </ButtonLink>
      </PageTitle>
      <Loaded query={projects} what="the projects" skeleton={<CardSkeletons />}>
        {(all) =>
          all.length === 0 ? (
            <NoProjects />
          ) : (
            <>
              {(all.length > 3 || query !== '') && <SearchField query={query} onQuery={setQuery} />}
              <Cards projects={rank(all, query, searchText)} query={query} />
            </>
          )
        }
      </Loaded>
    </div>
  )
}

const searchText = (project: Project) =>
  [project.name, project.subDomain, project.gitURL, project.customDomain].join(' ')

function Cards({ projects, query }: { projects: Project[]; query: string }) {
  if (projects.length === 0) {
    return (
      <p className="py-8 text-center text-ink-2">No project is called anything like “{query}”.</p>
    )
  }
  return (
    <ul className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
      {projects.map((project) => (
        <li key={project.id} className="min-w-0">
          <ProjectCard project={project} />
        </li>
      ))}
    </ul>
  )
}

function SearchField({ query, onQuery }: { query: string; onQuery: (query: string) => void }) {
  return (
    <div className="relative flex items-center">
      <Search size={16} className="absolute left-3 text-ink-3" aria-hidden />
      <input
        type="search"
        aria-label="Search the projects"
        placeholder="Search the projects"
        value={query}
        onChange={(event) => onQuery(event.target.value)}
        className="field border-line-strong pl-9"
      />
    </div>
  )
}

function NoProjects() {
  return (
    <Empty title="Deploy your first site">
      <p className="max-w-md text-ink-2">
        Give the address of a git repository or drop a folder here, or deploy a folder from its
        terminal:
      </p>
      <CommandLine command="mini-vercel deploy ./my-site" />
      <ButtonLink to={paths.newProject()}>New project</ButtonLink>
    </Empty>
  )
}

function CardSkeletons() {
  return (
    <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
      {[0, 1, 2].map((card) => (
        <div key={card} className="flex flex-col gap-3 card p-4">
          <Skeleton className="h-5 w-32" />
          <Skeleton className="h-4 w-48" />
          <Skeleton className="mt-4 h-4 w-full" />
          <Skeleton className="h-4 w-24" />
        </div>
      ))}
    </div>
  )
}
