import { useState } from 'react'

// useRemembered is a switch that this browser remembers.
export function useRemembered(name: string): [boolean, (on: boolean) => void] {
  const key = `mini-vercel:${name}`
  const [on, setOn] = useState(() => read(key) === 'on')
  const set = (next: boolean) => {
    setOn(next)
    write(key, next ? 'on' : 'off')
  }
  return [on, set]
}

// Storage may be off, or full; then nothing is remembered, and that is all.
function read(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    return
  }
}
