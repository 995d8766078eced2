import clsx from 'clsx'

import type { Domain, DNSRecord } from '@/api/types'
import { StatusShape } from '@/ui/StatusMark'

// A state is told by colour, word and shape at once, as a deployment's.
const domains: Record<Domain['state'], { word: string; tone: string; shape: Shape }> = {
  pending: { word: 'Not verified', tone: 'text-ink-3', shape: 'QUEUED' },
  active: { word: 'Active', tone: 'text-ok', shape: 'READY' },
  missing: { word: 'Records missing', tone: 'text-warn', shape: 'CANCELED' },
  stopped: { word: 'Stopped', tone: 'text-bad', shape: 'FAIL' },
}

const records: Record<DNSRecord['state'], { word: string; tone: string; shape: Shape }> = {
  unchecked: { word: 'Not looked up yet', tone: 'text-ink-3', shape: 'NOT_STARTED' },
  found: { word: 'Found', tone: 'text-ok', shape: 'READY' },
  missing: { word: 'Not set', tone: 'text-ink-3', shape: 'QUEUED' },
  wrong: { word: 'Different', tone: 'text-bad', shape: 'FAIL' },
  failed: { word: 'Look-up failed', tone: 'text-warn', shape: 'CANCELED' },
}

type Shape = 'NOT_STARTED' | 'QUEUED' | 'READY' | 'FAIL' | 'CANCELED'

export function DomainMark({ state, redirects }: { state: Domain['state']; redirects: boolean }) {
  const { word, ...look } = domains[state]
  return <Mark word={redirects && state === 'active' ? 'Redirects' : word} {...look} />
}

export function RecordMark({ state }: { state: DNSRecord['state'] }) {
  return <Mark {...records[state]} />
}

function Mark({ word, tone, shape }: { word: string; tone: string; shape: Shape }) {
  return (
    <span className={clsx('inline-flex items-center gap-1.5 whitespace-nowrap', tone)}>
      <StatusShape status={shape} tone={tone} />
      {word}
    </span>
  )
}
