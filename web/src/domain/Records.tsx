import type { DNSRecord, Domain } from '@/api/types'
import { CopyButton } from '@/ui/CopyButton'

import { RecordMark } from './DomainMark'

// Records are what to set in DNS, each beside what is there now.
export function Records({ domain: { records, unicode } }: { domain: Domain }) {
  return (
    <div className="flex flex-col gap-3">
      <ul
        aria-label={`DNS records of ${unicode}`}
        className="divide-y divide-line rounded-md border border-line"
      >
        {records.map((record) => (
          <Row key={`${record.type} ${record.value}`} record={record} />
        ))}
      </ul>
      {records.some(({ type }) => type === 'ALIAS') && (
        <p className="text-sm text-ink-3">
          DNS has no CNAME for a domain without www. Providers call what they have instead ALIAS,
          ANAME or CNAME flattening.
        </p>
      )}
    </div>
  )
}

function Row({ record: { type, name, value, seen, state, detail } }: { record: DNSRecord }) {
  return (
    <li className="grid grid-cols-1 gap-x-4 gap-y-1 px-3 py-2.5 sm:grid-cols-[3.5rem_minmax(0,1fr)_minmax(0,1fr)]">
      <span className="font-mono text-sm leading-7 font-medium">{type}</span>
      <Copyable what="Name" text={name} of={type} />
      <Copyable what="Value" text={value} of={type} />
      <div className="min-w-0 sm:col-span-2 sm:col-start-2">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-0.5 text-sm">
          <RecordMark state={state} />
          {detail && <span className="text-ink-2">{detail}</span>}
        </p>
        {state !== 'found' && state !== 'unchecked' && seen.length > 0 && (
          <p className="mt-0.5 text-sm text-ink-3">
            In DNS now: <code className="font-mono break-all text-ink-2">{seen.join(', ')}</code>
          </p>
        )}
      </div>
    </li>
  )
}

function Copyable({ what, text, of }: { what: string; text: string; of: string }) {
  return (
    <div className="flex min-w-0 items-start gap-1">
      <div className="min-w-0 grow">
        <p className="text-xs text-ink-3">{what}</p>
        <code className="font-mono text-sm break-all">{text}</code>
      </div>
      <CopyButton text={text} label={`Copy the ${what.toLowerCase()} of the ${of} record`} />
    </div>
  )
}
