import { useSyncExternalStore } from 'react'

import { eventsURL } from './calls'
import { invalidate, Relevance } from './invalidate'
import { queryClient } from './queries'
import type { Change } from './types'

type Connection = 'connecting' | 'live' | 'lost'

const coalesceMilliseconds = 150
const hiddenMilliseconds = 30_000
const lostAfterMilliseconds = 4_000
const reopenMilliseconds = { first: 3_000, most: 60_000 }

// Live follows the control plane by one event stream. After a while in the
// background the stream is closed: a browser opens only six connections to a
// host, and somebody has more tabs than that.
class Live {
  private connection: Connection = 'connecting'
  private listeners = new Set<() => void>()
  private source: EventSource | undefined
  private relevance = new Relevance()
  private pending: Change[] = []
  private missed = false
  private reopenIn = reopenMilliseconds.first

  private flushTimer: number | undefined
  private lostTimer: number | undefined
  private reopenTimer: number | undefined
  private hiddenTimer: number | undefined

  // start follows until the returned function is called.
  start = (): (() => void) => {
    const onVisibility = () => {
      window.clearTimeout(this.hiddenTimer)
      if (document.hidden) this.hiddenTimer = window.setTimeout(this.close, hiddenMilliseconds)
      else this.open()
    }
    document.addEventListener('visibilitychange', onVisibility)
    onVisibility()
    return () => {
      document.removeEventListener('visibilitychange', onVisibility)
      window.clearTimeout(this.hiddenTimer)
      window.clearTimeout(this.flushTimer)
      this.flushTimer = undefined
      this.pending = []
      this.close()
    }
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  state = (): Connection => this.connection

  // retry opens the stream at once instead of at the next attempt.
  retry = (): void => {
    this.close()
    this.open()
  }

  private open = (): void => {
    if (this.source) return
    const source = new EventSource(eventsURL())
    this.source = source
    source.addEventListener('open', () => {
      window.clearTimeout(this.lostTimer)
      this.lostTimer = undefined
      this.reopenIn = reopenMilliseconds.first
      this.set('live')
      // Whatever changed while nobody listened.
      if (this.missed) void queryClient.invalidateQueries()
      this.missed = false
    })
    source.addEventListener('change', (event) => this.receive(event))
    source.addEventListener('error', () => {
      this.missed = true
      this.lostTimer ??= window.setTimeout(() => this.set('lost'), lostAfterMilliseconds)
      // A lost connection the browser opens again by itself. After an answer
      // that is no stream, such as a proxy's 502, it gives up.
      if (source.readyState === EventSource.CLOSED && source === this.source) {
        this.source = undefined
        this.reopenTimer = window.setTimeout(this.open, this.reopenIn)
        this.reopenIn = Math.min(2 * this.reopenIn, reopenMilliseconds.most)
      }
    })
  }

  private close = (): void => {
    window.clearTimeout(this.lostTimer)
    window.clearTimeout(this.reopenTimer)
    this.lostTimer = undefined
    if (this.source) this.missed = true
    this.source?.close()
    this.source = undefined
  }

  private receive(event: MessageEvent<string>): void {
    const change = JSON.parse(event.data) as Change
    if (!this.relevance.of(change)) return
    this.pending.push(change)
    this.flushTimer ??= window.setTimeout(() => {
      this.flushTimer = undefined
      const changes = this.pending
      this.pending = []
      invalidate(queryClient, changes)
    }, coalesceMilliseconds)
  }

  private set(connection: Connection): void {
    if (connection === this.connection) return
    this.connection = connection
    for (const listener of this.listeners) listener()
  }
}

export const live = new Live()

export function useConnection(): Connection {
  return useSyncExternalStore(live.subscribe, live.state)
}
