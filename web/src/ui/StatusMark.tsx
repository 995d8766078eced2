import clsx from 'clsx'
import { CircleSlash } from 'lucide-react'

import type { Status } from '@/api/types'

// A status is told by colour, word and shape at once.
const marks: Record<Status, { word: string; tone: string }> = {
  NOT_STARTED: { word: 'Nothing deployed', tone: 'text-ink-3' },
  QUEUED: { word: 'Queued', tone: 'text-ink-3' },
  IN_PROGRESS: { word: 'Building', tone: 'text-accent' },
  READY: { word: 'Ready', tone: 'text-ok' },
  FAIL: { word: 'Failed', tone: 'text-bad' },
  CANCELED: { word: 'Canceled', tone: 'text-ink-3' },
}

export function statusWord(status: Status): string {
  return marks[status].word
}

type StatusShapeProps = { status: Status; size?: number; tone?: string }

export function StatusShape({ status, size = 12, tone = marks[status].tone }: StatusShapeProps) {
  return (
    <svg
      viewBox="0 0 12 12"
      width={size}
      height={size}
      aria-hidden
      className={clsx('shrink-0', tone)}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
    >
      {shape(status)}
    </svg>
  )
}

export function StatusMark({ status, className }: { status: Status; className?: string }) {
  return (
    <span className={clsx('inline-flex items-center gap-1.5 whitespace-nowrap', className)}>
      <StatusShape status={status} />
      <span className={marks[status].tone}>{marks[status].word}</span>
    </span>
  )
}

// SuspendedMark stands where a project's status would: its sites are taken down,
// however well they were built.
export function SuspendedMark({ className }: { className?: string }) {
  return (
    <span
      className={clsx('inline-flex items-center gap-1.5 whitespace-nowrap text-bad', className)}
    >
      <CircleSlash size={12} strokeWidth={3} className="shrink-0" aria-hidden />
      Suspended
    </span>
  )
}

function shape(status: Status) {
  switch (status) {
    case 'NOT_STARTED':
      return <circle cx="6" cy="6" r="4.25" strokeDasharray="0.1 2.95" />
    case 'QUEUED':
      return <circle cx="6" cy="6" r="4.25" />
    case 'IN_PROGRESS':
      return (
        <g className="origin-center animate-turn">
          <circle cx="6" cy="6" r="4.25" strokeOpacity=".3" />
          <path d="M6 1.75A4.25 4.25 0 0 1 10.25 6" />
        </g>
      )
    case 'READY':
      return <circle cx="6" cy="6" r="4.5" fill="currentColor" stroke="none" />
    case 'FAIL':
      return <path d="m2.75 2.75 6.5 6.5m0-6.5-6.5 6.5" />
    case 'CANCELED':
      return <path d="M2 6h8" />
  }
}
