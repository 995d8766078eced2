import { useQuery } from '@tanstack/react-query'
import { GitBranch } from 'lucide-react'
import { Link } from 'react-router'

import { queries } from '@/api/queries'
import type { Deployment, Project } from '@/api/types'
import { title } from '@/format/source'
import { paths } from '@/paths'
import { Section } from '@/shell/PageTitle'
import { SiteLink } from '@/ui/SiteLink'
import { When } from '@/ui/When'

// Branches lists the newest deployment of each branch that has an address of
// its own. A project with its production branch alone has none.
export function Branches({ project }: { project: Project }) {
  const ready = useQuery(queries.readyDeployments(project.id))
  const heads = headsOf(ready.data?.items ?? [])
  if (heads.length === 0) return null
  return (
    <Section title="Branches">
      <ul className="divide-y divide-line card">
        {heads.map(({ deployment, branch, url }) => (
          <li key={branch} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5">
            <span className="flex min-w-0 basis-40 items-center gap-2 font-medium">
              <GitBranch size={14} className="shrink-0 text-ink-3" aria-hidden />
              <span className="truncate">{branch}</span>
            </span>
            <Link
              to={paths.deployment(project, deployment)}
              className="min-w-0 grow basis-40 truncate text-ink-2 hover:text-ink hover:underline"
            >
              {title(deployment)}
            </Link>
            <SiteLink url={url} className="text-sm" />
            <span className="text-sm text-ink-3">
              <When at={deployment.createdAt} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  )
}

type Head = { deployment: Deployment; branch: string; url: string }

// headsOf takes deployments newest first; a branch's host belongs to the first.
export function headsOf(deployments: Deployment[]): Head[] {
  const heads = new Map<string, Head>()
  for (const deployment of deployments) {
    const { branch } = deployment.source
    const host = deployment.hosts.find(({ role }) => role === 'branch')
    if (branch && host && !heads.has(branch))
      heads.set(branch, { deployment, branch, url: host.url })
  }
  return [...heads.values()]
}
