import clsx from 'clsx'

import type { Deployment, Phase, PhaseTimes } from '@/api/types'
import { duration } from '@/format/time'
import { phaseName, phasesOf } from '@/log/phases'
import { useFineNow } from '@/ui/useNow'

type State = 'ahead' | 'running' | 'done' | 'failed' | 'stopped' | 'skipped'
type Segment = { phase: Phase; state: State; milliseconds: number }

// PhaseBar is where a deployment is now and how long each part took: one bar,
// whose parts are as long as they lasted.
export function PhaseBar({ deployment }: { deployment: Deployment }) {
  const running = deployment.status === 'IN_PROGRESS'
  const now = useFineNow(running)
  const segments = segmentsOf(deployment, now)
  const total = segments.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  const share = (milliseconds: number) => (total > 0 ? milliseconds / total : 1)
  return (
    <div className="flex flex-col gap-3">
      <div aria-hidden className="flex gap-1 md:hidden">
        {segments.map(({ phase, state, milliseconds }) => (
          <Bar key={phase} state={state} share={share(milliseconds)} />
        ))}
      </div>
      <ol
        aria-label="Phases"
        className="grid grid-cols-3 gap-x-4 gap-y-2 min-[30rem]:grid-cols-4 md:flex md:gap-1"
      >
        {segments.map(({ phase, state, milliseconds }) => (
          <li
            key={phase}
            aria-current={state === 'running' ? 'step' : undefined}
            className="flex min-w-0 flex-col gap-2 md:min-w-20"
            style={{ flexGrow: share(milliseconds), flexBasis: 0 }}
          >
            <div aria-hidden className="flex max-md:hidden">
              <Bar state={state} share={1} />
            </div>
            <p className="flex flex-col text-sm leading-4.5 max-md:flex-row max-md:justify-between">
              <span
                className={clsx(
                  'truncate',
                  state === 'running' && 'font-medium text-accent',
                  state === 'failed' && 'font-medium text-bad',
                  (state === 'ahead' || state === 'skipped') && 'text-ink-3',
                )}
              >
                {phaseName(phase, deployment.kind)}
              </span>
              <span className="tabular text-xs leading-4.5 text-ink-3">
                <span className="max-md:sr-only">{words[state]}</span>
                {state === 'ahead' || state === 'skipped' ? '' : duration(milliseconds)}
              </span>
            </p>
          </li>
        ))}
      </ol>
    </div>
  )
}

function Bar({ state, share }: { state: State; share: number }) {
  return (
    <span
      className={clsx(
        'h-1.5 min-w-2 rounded-full',
        state === 'done' && 'bg-ink-3',
        state === 'running' && 'animate-breathe bg-accent',
        state === 'failed' && 'bg-bad',
        (state === 'ahead' || state === 'skipped') && 'border border-line-strong',
        state === 'stopped' && 'bg-line-strong',
      )}
      style={{ flexGrow: share, flexBasis: 0 }}
    />
  )
}

const words: Record<State, string> = {
  ahead: '',
  running: '',
  done: '',
  failed: 'failed, ',
  stopped: 'stopped, ',
  skipped: 'not needed',
}

// segmentsOf lays the known times over the phases that the deployment's kind
// goes through.
export function segmentsOf(deployment: Deployment, now: number): Segment[] {
  const { status, phases, kind } = deployment
  const ended = status === 'READY' || status === 'FAIL' || status === 'CANCELED'
  const lastKnown = phases.at(-1)?.phase
  // What is ready was published, whether or not somebody took the time.
  const untimed = status === 'READY' && !phases.some(({ phase }) => phase === 'publish')
  const shown = phasesOf(kind).filter((phase) => phase !== 'publish' || !untimed)
  return shown.map((phase) => {
    const times = phases.findLast((one) => one.phase === phase)
    if (!times) {
      return { phase, state: status === 'READY' ? 'skipped' : 'ahead', milliseconds: 0 }
    }
    const milliseconds = lasted(times, deployment, now)
    if (phase !== lastKnown || status === 'READY') return { phase, state: 'done', milliseconds }
    if (status === 'FAIL') return { phase, state: 'failed', milliseconds }
    if (status === 'CANCELED') return { phase, state: 'stopped', milliseconds }
    return { phase, state: ended || times.endedAt ? 'done' : 'running', milliseconds }
  })
}

function lasted(times: PhaseTimes, deployment: Deployment, now: number): number {
  const end = times.endedAt ?? deployment.endedAt
  return Math.max(0, (end ? Date.parse(end) : now) - Date.parse(times.startedAt))
}
