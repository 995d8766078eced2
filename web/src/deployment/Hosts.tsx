import type { Deployment, Host, Project } from '@/api/types'
import { paths } from '@/paths'
import { ButtonLink } from '@/ui/Button'
import { CopyButton } from '@/ui/CopyButton'
import { SiteLink } from '@/ui/SiteLink'

const roles: Record<Host['role'], string> = {
  production: 'Production',
  domain: 'Domain',
  branch: 'Branch',
  deployment: 'This deployment',
}

// Hosts are the addresses at which a deployment answers.
export function Hosts({ project, deployment }: { project: Project; deployment: Deployment }) {
  const { hosts, status } = deployment
  if (status !== 'READY' || hosts.length === 0) return null
  return (
    <ul aria-label="Addresses" className="divide-y divide-line card">
      {hosts.map(({ host, url, role }) => (
        <li
          key={host}
          className="flex min-w-0 items-center gap-x-4 py-1.5 pr-2 pl-4 max-sm:flex-wrap"
        >
          <span className="w-32 shrink-0 text-sm text-ink-3 max-sm:w-full">{roles[role]}</span>
          <SiteLink url={url} />
          <span className="ml-auto flex items-center gap-1">
            <ButtonLink
              look="quiet"
              size="small"
              to={paths.explain(project, url)}
              aria-label={`Explain ${host}`}
            >
              Explain
            </ButtonLink>
            <CopyButton text={url} label={`Copy ${host}`} />
          </span>
        </li>
      ))}
    </ul>
  )
}
