import { useSyncExternalStore } from 'react'

import { eventsURL } from './calls'
import { queryClient } from './queries'
import type { Change } from './types'

// The page follows the control plane by one event stream. While the page is
// hidden the stream is closed: a browser opens only six connections to a host,
// and somebody has more tabs than that.
type Connection = 'connecting' | 'live' | 'lost'

const coalesceMilliseconds = 150
const lostAfterMilliseconds = 4000

class Live {
  private connection: Connection = 'connecting'
  private listeners = new Set<() => void>()
  private source: EventSource | undefined
  private pending = new Map<string, Change>()
  private flushTimer: number | undefined
  private lostTimer: number | undefined
  private retryTimer: number | undefined
  private missed = false

  // start follows until the returned function is called.
  start = (): (() => void) => {
    const onVisibility = () => (document.hidden ? this.close() : this.open())
    document.addEventListener('visibilitychange', onVisibility)
    onVisibility()
    return () => {
      document.removeEventListener('visibilitychange', onVisibility)
      this.close()
      window.clearTimeout(this.flushTimer)
      this.pending.clear()
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

  private open(): void {
    if (this.source) return
    const source = new EventSource(eventsURL())
    this.source = source
    source.addEventListener('open', () => {
      window.clearTimeout(this.lostTimer)
      this.lostTimer = undefined
      this.set('live')
      // Whatever changed while nobody listened.
      if (this.missed) void queryClient.invalidateQueries()
      this.missed = false
    })
    source.addEventListener('change', (event) => this.receive(event))
    source.addEventListener('error', () => {
      this.missed = true
      this.lostTimer ??= window.setTimeout(() => this.set('lost'), lostAfterMilliseconds)
      // A browser gives up for good after an answer that is no stream, such as
      // a proxy's 502.
      if (source.readyState === EventSource.CLOSED && source === this.source) {
        this.retryTimer = window.setTimeout(this.retry, lostAfterMilliseconds)
      }
    })
  }

  private close(): void {
    window.clearTimeout(this.lostTimer)
    window.clearTimeout(this.retryTimer)
    this.lostTimer = undefined
    if (this.source) this.missed = true
    this.source?.close()
    this.source = undefined
  }

  private receive(event: MessageEvent<string>): void {
    const change = JSON.parse(event.data) as Change
    this.pending.set(`${change.project}/${change.deployment ?? ''}`, change)
    this.flushTimer ??= window.setTimeout(() => {
      this.flushTimer = undefined
      const changes = [...this.pending.values()]
      this.pending.clear()
      invalidate(changes)
    }, coalesceMilliseconds)
  }

  private set(connection: Connection): void {
    if (connection === this.connection) return
    this.connection = connection
    for (const listener of this.listeners) listener()
  }
}

function invalidate(changes: Change[]): void {
  for (const change of changes) {
    void queryClient.invalidateQueries({ queryKey: ['deployments', change.project] })
    void queryClient.invalidateQueries({ queryKey: ['deployment', change.project] })
    if (change.type === 'project') {
      void queryClient.invalidateQueries({ queryKey: ['env', change.project] })
    }
  }
  // Every one of these shows parts of projects and deployments alike.
  void queryClient.invalidateQueries({ queryKey: ['projects'] })
  void queryClient.invalidateQueries({ queryKey: ['project'] })
  void queryClient.invalidateQueries({ queryKey: ['deployments', 'all'] })
}

export const live = new Live()

export function useConnection(): Connection {
  return useSyncExternalStore(live.subscribe, live.state)
}
