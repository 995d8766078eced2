import { useSyncExternalStore } from 'react'

// One clock for all that shows how long ago something was. It stands still
// while nobody looks at it.
class Clock {
  private listeners = new Set<() => void>()
  private timer: number | undefined
  private now = Date.now()
  private readonly interval: number

  constructor(interval: number) {
    this.interval = interval
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    if (this.timer === undefined) {
      this.now = Date.now()
      this.timer = window.setInterval(this.tick, this.interval)
    }
    return () => {
      this.listeners.delete(listener)
      if (this.listeners.size === 0) {
        window.clearInterval(this.timer)
        this.timer = undefined
      }
    }
  }

  read = (): number => this.now

  private tick = (): void => {
    this.now = Date.now()
    for (const listener of this.listeners) listener()
  }
}

const seconds = new Clock(1000)
const tenths = new Clock(100)
const still = () => () => {}

// useNow is the time in milliseconds, renewed every second.
export function useNow(): number {
  return useSyncExternalStore(seconds.subscribe, seconds.read)
}

// useFineNow is renewed ten times a second, but only while running.
export function useFineNow(running: boolean): number {
  return useSyncExternalStore(running ? tenths.subscribe : still, tenths.read)
}
