import { Check, X } from 'lucide-react'
import { useSyncExternalStore } from 'react'

import { messageOf } from '@/api/error'

import { Button, IconButton } from './Button'

type Toast = {
  id: number
  tone: 'ok' | 'bad'
  text: string
  action: { label: string; run: () => void } | undefined
}

const shownMilliseconds = 6000

let toasts: Toast[] = []
let nextId = 1
const listeners = new Set<() => void>()

function set(next: Toast[]) {
  toasts = next
  for (const listener of listeners) listener()
}

function dismiss(id: number) {
  set(toasts.filter((toast) => toast.id !== id))
}

function show(tone: Toast['tone'], text: string, action?: Toast['action']) {
  const id = nextId++
  set([...toasts.slice(-2), { id, tone, text, action }])
  window.setTimeout(() => dismiss(id), action ? 2 * shownMilliseconds : shownMilliseconds)
}

export const toast = {
  done: (text: string, action?: Toast['action']) => show('ok', text, action),
  failed: (error: unknown) => show('bad', messageOf(error)),
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts)
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-4 bottom-20 z-50 flex flex-col items-end gap-2 md:right-6 md:bottom-6 md:left-auto"
    >
      {shown.map(({ id, tone, text, action }) => (
        <div
          key={id}
          className="pointer-events-auto flex w-full animate-appear items-center gap-3 rounded-lg border border-line-strong bg-raised py-2 pr-2 pl-3 sm:w-96"
        >
          {tone === 'ok' ? (
            <Check size={16} className="shrink-0 text-ok" aria-hidden />
          ) : (
            <X size={16} className="shrink-0 text-bad" aria-hidden />
          )}
          <p className="min-w-0 grow py-0.5 break-words">{text}</p>
          {action && (
            <Button
              size="small"
              onClick={() => {
                action.run()
                dismiss(id)
              }}
            >
              {action.label}
            </Button>
          )}
          <IconButton
            label="Dismiss"
            icon={<X size={14} aria-hidden />}
            onClick={() => dismiss(id)}
          />
        </div>
      ))}
    </div>
  )
}
