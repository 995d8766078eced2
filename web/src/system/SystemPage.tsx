import { useQuery } from '@tanstack/react-query'
import clsx from 'clsx'
import { ShieldAlert, ShieldCheck } from 'lucide-react'

import { queries, queryClient } from '@/api/queries'
import type { Isolation, SystemPart } from '@/api/types'
import { PageTitle, Section } from '@/shell/PageTitle'
import { Loaded, SkeletonRows } from '@/ui/Loaded'
import { StatusShape } from '@/ui/StatusMark'

import { Suspend } from './Suspend'

export function loader() {
  void queryClient.prefetchQuery(queries.system())
  return null
}

export function Component() {
  const system = useQuery(queries.system())
  const admin = useQuery(queries.me()).data?.user.admin
  return (
    <div className="page flex narrow flex-col gap-8">
      <PageTitle title="System" />
      <Loaded query={system} what="the state of the system" skeleton={<SkeletonRows rows={4} />}>
        {({ parts, isolation, version }) => (
          <>
            <Section
              title="Parts"
              aside={<span className="text-sm text-ink-3">Version {version}</span>}
            >
              <ul className="divide-y divide-line card">
                {parts.map((part) => (
                  <PartRow key={part.name} part={part} />
                ))}
              </ul>
            </Section>
            <IsolationCard isolation={isolation} />
            {admin && <Suspend />}
          </>
        )}
      </Loaded>
    </div>
  )
}

function PartRow({ part: { name, engine, status, detail } }: { part: SystemPart }) {
  const ok = status === 'ok'
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-3">
      <StatusShape status={ok ? 'READY' : 'FAIL'} />
      <span className="font-medium capitalize">{name}</span>
      {engine && <span className="text-ink-3">{engine}</span>}
      <span className={ok ? 'text-ink-2' : 'text-bad'}>{ok ? 'Working' : 'Not working'}</span>
      {detail && <span className="ml-auto min-w-0 text-sm break-words text-ink-3">{detail}</span>}
    </li>
  )
}

function IsolationCard({
  isolation: { where, mode, network, warnings },
}: {
  isolation: Isolation
}) {
  const safe = warnings.length === 0
  const Icon = safe ? ShieldCheck : ShieldAlert
  return (
    <Section title="Isolation of builds">
      <div className="flex gap-3 card p-5">
        <Icon size={20} className={clsx('shrink-0', safe ? 'text-ok' : 'text-warn')} aria-hidden />
        <div className="flex min-w-0 flex-col gap-2">
          <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1">
            {where && (
              <>
                <dt className="text-ink-3">On</dt>
                <dd>{where}</dd>
              </>
            )}
            <dt className="text-ink-3">Commands</dt>
            <dd>{mode}</dd>
            <dt className="text-ink-3">Network</dt>
            <dd>{network}</dd>
          </dl>
          {warnings.map((warning) => (
            <p key={warning} className="text-ink-2">
              {warning}
            </p>
          ))}
        </div>
      </div>
    </Section>
  )
}
