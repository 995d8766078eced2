import type { LogLine, Phase } from '@/api/types'

import { hasEscape, parseLine, plain, plainText, type Pen } from './ansi'

// A Section is a run of lines of one phase of one attempt.
export type Section = { attempt: number; phase: Phase; from: number; to: number } // to: exclusive

// LogBuffer holds a deployment's log outside of React's state. Lines come in
// one by one and in order; those who listen are told once a frame at most.
export class LogBuffer {
  readonly lines: LogLine[] = []
  readonly sections: Section[] = []
  // version changes with every batch: what a snapshot is compared by.
  version = 0

  // Pens that lines begin with, where it is not the plain one.
  private pens = new Map<number, Pen>()
  private nextPen: Pen = plain
  private listeners = new Set<() => void>()
  private scheduled = false
  private readonly schedule: (flush: () => void) => void

  constructor(schedule: (flush: () => void) => void = nextFrame) {
    this.schedule = schedule
  }

  // append takes a line unless it is there already: after a reconnect a server
  // may repeat what was on its way.
  append(line: LogLine): void {
    const last = this.lines.at(-1)
    if (last && !isAfter(line, last)) return
    const index = this.lines.push(line) - 1
    const section = this.sections.at(-1)
    if (section && section.attempt === line.attempt && section.phase === line.phase) {
      section.to = index + 1
    } else {
      this.sections.push({ attempt: line.attempt, phase: line.phase, from: index, to: index + 1 })
      this.nextPen = plain
    }
    if (line.stream === 'system') this.nextPen = plain
    if (this.nextPen !== plain) this.pens.set(index, this.nextPen)
    if (hasEscape(line.text)) this.nextPen = parseLine(line.text, this.nextPen).pen
    this.announce()
  }

  // cursor names the last line, for a stream that goes on after it.
  cursor(): string | undefined {
    const last = this.lines.at(-1)
    return last && `${last.attempt}-${last.seq}`
  }

  penOf(index: number): Pen {
    return this.pens.get(index) ?? plain
  }

  // text is the log as it is copied: readable characters only.
  text(from = 0, to = this.lines.length): string {
    return this.lines
      .slice(from, to)
      .map((line) => plainText(line.text))
      .join('\n')
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  snapshot = (): number => this.version

  private announce(): void {
    if (this.scheduled) return
    this.scheduled = true
    this.schedule(() => {
      this.scheduled = false
      this.version++
      for (const listener of this.listeners) listener()
    })
  }
}

// culprit is the line that a failure most likely means: in the phase that
// failed, the first that calls itself an error, else the last on stderr, else
// the last one that the build itself printed.
export function culprit(buffer: LogBuffer, phase: Phase | undefined): number | undefined {
  const section = buffer.sections.findLast((one) => phase === undefined || one.phase === phase)
  if (!section) return undefined
  let stderr: number | undefined
  let printed: number | undefined
  for (let i = section.to - 1; i >= section.from; i--) {
    const line = buffer.lines[i]
    if (!line || line.stream === 'system' || plainText(line.text).trim() === '') continue
    printed ??= i
    if (line.stream === 'stderr') stderr ??= i
  }
  for (let i = section.from; i < section.to; i++) {
    const line = buffer.lines[i]
    if (line && line.stream !== 'system' && isError.test(plainText(line.text))) return i
  }
  return stderr ?? printed
}

const isError = /^\W*(?:\w*error|fatal|panic|err!|npm err)\b|\berror TS\d|\berror:/i

function isAfter(line: LogLine, last: LogLine): boolean {
  return line.attempt > last.attempt || (line.attempt === last.attempt && line.seq > last.seq)
}

// nextFrame waits for a frame; a hidden page has none, so a timer backs it.
function nextFrame(flush: () => void): void {
  if (document.hidden) window.setTimeout(flush, 250)
  else requestAnimationFrame(flush)
}
