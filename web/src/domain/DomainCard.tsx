import { useMutation, useQuery } from '@tanstack/react-query'
import { ChevronDown, RefreshCw, Trash2 } from 'lucide-react'
import { useId, useState } from 'react'

import { addDomain, removeDomain, updateProject, verifyDomain } from '@/api/calls'
import { queries, queryClient } from '@/api/queries'
import type { Domain, Project } from '@/api/types'
import { calendarDay } from '@/format/time'
import { Button, IconButton } from '@/ui/Button'
import { SiteLink } from '@/ui/SiteLink'
import { toast } from '@/ui/toast'
import { When } from '@/ui/When'

import { DomainMark } from './DomainMark'
import { Records } from './Records'

type DomainCardProps = { project: Project; domain: Domain; siblings: Domain[] }

// Each open card asks DNS anew so often; more of them, the more seldom.
const everyMilliseconds = 10_000
const cardsAtThatPace = 5

// DomainCard is one domain: how it stands, and the records that it needs, which
// are looked up for as long as they are shown.
export function DomainCard({ project, domain: stored, siblings }: DomainCardProps) {
  const heading = useId()
  const [open, setOpen] = useState(stored.state !== 'active')
  const waiting = siblings.filter(({ state }) => state !== 'active').length
  const live = useQuery({
    ...queries.domain(project.id, stored.host),
    enabled: open,
    refetchInterval: everyMilliseconds * Math.max(1, Math.ceil(waiting / cardsAtThatPace)),
  })
  const domain = live.data && newer(live.data, stored) ? live.data : stored
  const refresh = () => queryClient.invalidateQueries({ queryKey: ['domains', project.id] })
  const check = useMutation({
    mutationFn: () => verifyDomain(project.id, domain.host),
    onSuccess: (now) => {
      queryClient.setQueryData(queries.domain(project.id, domain.host).queryKey, now)
      return refresh()
    },
    onError: toast.failed,
  })
  const { host, unicode, redirectTo, state, primary } = domain
  return (
    <li className="card" aria-labelledby={heading}>
      <header className="flex flex-wrap items-center gap-x-4 gap-y-2 py-3 pr-3 pl-5">
        <div className="flex min-w-0 grow flex-col">
          <h2 id={heading} className="min-w-0 text-lg font-medium break-words">
            {state === 'active' || state === 'missing' ? (
              <SiteLink url={domain.url} text={unicode} />
            ) : (
              unicode
            )}
          </h2>
          {unicode !== host && <p className="font-mono text-sm break-all text-ink-3">{host}</p>}
        </div>
        {primary && siblings.length > 1 && <span className="text-sm text-ink-3">Primary</span>}
        {!primary && !redirectTo && state === 'active' && (
          <MakePrimary project={project} domain={domain} />
        )}
        <span role="status">
          <DomainMark state={state} redirects={Boolean(redirectTo)} />
        </span>
        <div className="flex items-center gap-1">
          <Button
            size="small"
            pending={check.isPending}
            onClick={() => {
              setOpen(true)
              check.mutate()
            }}
          >
            {!check.isPending && <RefreshCw size={14} aria-hidden />} Check now
          </Button>
          <Remove project={project} domain={domain} siblings={siblings} />
        </div>
      </header>
      <div className="flex flex-col gap-4 border-t border-line px-5 py-4">
        <Detail domain={domain} />
        {open && domain.certificate && (
          <p className="text-ink-2">
            <span className="font-medium text-ink">{certificateWord(domain)}</span>{' '}
            {domain.certificate.detail}
          </p>
        )}
        {open ? (
          <Records domain={domain} />
        ) : (
          <div>
            <Button size="small" look="quiet" className="-ml-2" onClick={() => setOpen(true)}>
              <ChevronDown size={14} aria-hidden /> DNS records and certificate
            </Button>
          </div>
        )}
        {open && domain.checkedAt && (
          <p className="text-sm text-ink-3">
            DNS was last asked <When at={domain.checkedAt} />.
          </p>
        )}
      </div>
    </li>
  )
}

function newer(a: Domain, b: Domain): boolean {
  return Date.parse(a.checkedAt ?? '') >= Date.parse(b.checkedAt ?? a.checkedAt ?? '')
}

function Detail({ domain: { state, detail, stopsAt } }: { domain: Domain }) {
  if (state === 'missing' || state === 'stopped') {
    const tone =
      state === 'missing' ? 'border-warn-line bg-warn-soft' : 'border-bad-line bg-bad-soft'
    return (
      <p className={`rounded-md border px-3 py-2 ${tone}`}>
        {detail}
        {stopsAt && <> That is on {calendarDay(new Date(stopsAt))}.</>}
      </p>
    )
  }
  return <p className="text-ink-2">{detail}</p>
}

function certificateWord({ certificate }: Domain): string {
  switch (certificate?.state) {
    case 'valid': {
      const issuer = certificate.issuer ? ` from ${certificate.issuer}` : ''
      const until = certificate.expiresAt
        ? ` until ${calendarDay(new Date(certificate.expiresAt))}`
        : ''
      return `Certificate${issuer}, valid${until}.`
    }
    case 'untrusted':
      return 'Certificate that browsers warn of.'
    case 'waiting':
    case 'none':
      return 'No certificate yet.'
    case 'off':
      return 'No HTTPS.'
    default:
      return 'Certificate unknown.'
  }
}

// MakePrimary has the project and its deployments shown with this domain.
function MakePrimary({ project, domain }: { project: Project; domain: Domain }) {
  const choose = useMutation({
    mutationFn: () => updateProject(project.id, { customDomain: domain.host }),
    onSuccess: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: ['project'] }),
        queryClient.invalidateQueries({ queryKey: ['domains', project.id] }),
      ]),
    onError: toast.failed,
  })
  return (
    <Button size="small" look="quiet" pending={choose.isPending} onClick={() => choose.mutate()}>
      Make primary
    </Button>
  )
}

// Remove takes a domain away at once, and offers to add it again: its records
// are still there, so that it answers again at once.
function Remove({ project, domain, siblings }: DomainCardProps) {
  const redirecting = siblings.filter(({ redirectTo }) => redirectTo === domain.host)
  const refresh = () => queryClient.invalidateQueries({ queryKey: ['domains', project.id] })
  const main = domain.redirectTo ?? domain.host
  const undo = () =>
    addDomain(project.id, {
      host: main,
      redirectOther: redirecting.length > 0 || domain.redirectTo !== undefined,
    }).then(refresh, toast.failed)
  const remove = useMutation({
    mutationFn: () => removeDomain(project.id, domain.host),
    onSuccess: () => {
      const names = [domain, ...redirecting].map(({ unicode }) => unicode).join(' and ')
      toast.done(`${names} removed.`, { label: 'Undo', run: () => void undo() })
      return refresh()
    },
    onError: toast.failed,
  })
  const also =
    redirecting.length > 0 ? `, and ${redirecting.map(({ unicode }) => unicode).join(', ')}` : ''
  return (
    <IconButton
      label={`Remove ${domain.unicode}${also}`}
      icon={<Trash2 size={14} aria-hidden />}
      pending={remove.isPending}
      onClick={() => remove.mutate()}
    />
  )
}
