const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' })
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const dayOfYears = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
})

// ago says how long before now a time was: "just now", "12s ago", "3d ago",
// and a date for what is older than a week.
export function ago(at: Date, now: Date): string {
  const past = now.getTime() - at.getTime()
  if (past < 5 * second) return 'just now'
  if (past < minute) return `${Math.floor(past / second)}s ago`
  if (past < hour) return `${Math.floor(past / minute)}m ago`
  if (past < day) return `${Math.floor(past / hour)}h ago`
  if (past < 7 * day) return `${Math.floor(past / day)}d ago`
  return (at.getFullYear() === now.getFullYear() ? dayOfYear : dayOfYears).format(at)
}

export function absoluteTime(at: Date): string {
  return absolute.format(at)
}

// calendarDay writes the date of a time that may lie ahead.
export function calendarDay(at: Date): string {
  return dayOfYears.format(at)
}

// duration writes milliseconds as < 0.1s, 0.4s, 12s, 1m 04s or 2h 05m.
export function duration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds)
  if (ms < 100) return '< 0.1s'
  if (ms < 10 * second) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`
  const seconds = Math.floor(ms / second)
  if (ms < minute) return `${seconds}s`
  if (ms < hour) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`
  return `${Math.floor(seconds / 3600)}h ${two(Math.floor(seconds / 60) % 60)}m`
}

// clock writes the time of day of a log line, with milliseconds.
export function clock(at: Date): string {
  const ms = String(at.getMilliseconds()).padStart(3, '0')
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}
