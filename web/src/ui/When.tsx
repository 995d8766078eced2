import { absoluteTime, ago, duration } from '@/format/time'

import { useFineNow, useNow } from './useNow'

// When says how long ago something was; the exact time is there on hover.
export function When({ at, prefix }: { at: string; prefix?: string }) {
  const now = useNow()
  const date = new Date(at)
  return (
    <time dateTime={at} title={absoluteTime(date)} className="whitespace-nowrap">
      {prefix}
      {ago(date, new Date(now))}
    </time>
  )
}

// Lasted is the time between two moments, and counts on while there is no end.
export function Lasted({ from, to }: { from: string; to?: string | undefined }) {
  const now = useFineNow(to === undefined)
  const end = to === undefined ? Math.max(now, Date.parse(from)) : Date.parse(to)
  return <span className="tabular whitespace-nowrap">{duration(end - Date.parse(from))}</span>
}
