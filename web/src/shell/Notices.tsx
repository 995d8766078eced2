import clsx from 'clsx'
import { ShieldAlert, Unplug, X } from 'lucide-react'
import { useEffect, useState, type ReactNode } from 'react'

import { live, useConnection } from '@/api/live'
import type { Isolation } from '@/api/types'
import { Button, IconButton } from '@/ui/Button'
import { useRemembered } from '@/ui/useRemembered'

// Notices are the bars under the top bar: what is true of every page.
export function Notices({ isolation }: { isolation: Isolation }) {
  return (
    <div aria-live="polite" className="contents">
      <OfflineBar />
      <IsolationBar warnings={isolation.warnings} />
    </div>
  )
}

function OfflineBar() {
  const lost = useConnection() === 'lost'
  const [offline, setOffline] = useState(() => !navigator.onLine)
  useEffect(() => {
    const update = () => setOffline(!navigator.onLine)
    window.addEventListener('online', update)
    window.addEventListener('offline', update)
    return () => {
      window.removeEventListener('online', update)
      window.removeEventListener('offline', update)
    }
  }, [])
  if (!lost) return null
  return (
    <Bar sticky icon={<Unplug size={16} aria-hidden />}>
      <p className="grow">
        {offline ? 'This browser is offline.' : 'The control plane does not answer.'} What you see
        is the last that was known; sites are served all the same.
      </p>
      <Button size="small" onClick={live.retry}>
        Try now
      </Button>
    </Bar>
  )
}

function IsolationBar({ warnings }: { warnings: string[] }) {
  const text = warnings.join(' ')
  const [hidden, setHidden] = useRemembered(`isolation:${text}`)
  if (text === '' || hidden) return null
  return (
    <Bar icon={<ShieldAlert size={16} aria-hidden />}>
      <p className="grow">{text}</p>
      <IconButton
        label="Hide this"
        icon={<X size={14} aria-hidden />}
        onClick={() => setHidden(true)}
      />
    </Bar>
  )
}

type BarProps = { icon: ReactNode; sticky?: boolean; children: ReactNode }

function Bar({ icon, sticky = false, children }: BarProps) {
  return (
    <div
      className={clsx(
        'flex items-center gap-3 border-b border-warn-line bg-warn-soft px-4 py-1.5 text-sm md:px-5',
        sticky && 'sticky top-12 z-20',
      )}
    >
      <span className="shrink-0 text-warn">{icon}</span>
      {children}
    </div>
  )
}
