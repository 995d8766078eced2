import type { Deployment, Host } from '@/api/types'
import { CopyButton } from '@/ui/CopyButton'
import { SiteLink } from '@/ui/SiteLink'

const roles: Record<Host['role'], string> = {
  production: 'Production',
  domain: 'Domain',
  branch: 'Branch',
  deployment: 'This deployment',
}

// Hosts are the addresses at which a deployment answers.
export function Hosts({ deployment: { hosts, status } }: { deployment: Deployment }) {
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
          <span className="ml-auto">
            <CopyButton text={url} label={`Copy ${host}`} />
          </span>
        </li>
      ))}
    </ul>
  )
}
