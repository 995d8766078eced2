import type { ReactNode } from 'react'

import { Mark } from '@/shell/Mark'

type AuthFrameProps = { title: string; text?: ReactNode; children: ReactNode; footer?: ReactNode }

// AuthFrame is the page of someone who is not signed in.
export function AuthFrame({ title, text, children, footer }: AuthFrameProps) {
  return (
    <main className="flex min-h-dvh flex-col items-center px-4 py-12 sm:justify-center sm:py-16">
      <title>{`${title} · Mini-Vercel`}</title>
      <div className="flex w-full max-w-sm flex-col gap-6">
        <div className="flex items-center gap-3">
          <Mark size={28} />
          <span className="text-lg font-semibold tracking-tight">Mini-Vercel</span>
        </div>
        <div className="flex flex-col gap-5 card p-6">
          <div className="flex flex-col gap-1.5">
            <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
            {text && <p className="text-ink-2">{text}</p>}
          </div>
          {children}
        </div>
        {footer && <p className="text-center text-sm text-ink-2">{footer}</p>}
      </div>
    </main>
  )
}
