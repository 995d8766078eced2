import type { ReactNode } from 'react'

type PageTitleProps = { title: string; tab?: string; children?: ReactNode }

// PageTitle is a page's heading with its actions, and the name of its tab.
export function PageTitle({ title, tab = title, children }: PageTitleProps) {
  return (
    <header className="flex flex-wrap items-center justify-between gap-x-4 gap-y-3">
      <title>{`${tab} · Mini-Vercel`}</title>
      <h1 className="min-w-0 text-xl font-semibold tracking-tight break-words">{title}</h1>
      {children && <div className="flex flex-wrap items-center gap-2">{children}</div>}
    </header>
  )
}

type SectionProps = { title: string; aside?: ReactNode; children: ReactNode; id?: string }

export function Section({ title, aside, children, id }: SectionProps) {
  return (
    <section className="flex min-w-0 flex-col gap-3" id={id}>
      <header className="flex min-h-7 flex-wrap items-center justify-between gap-2">
        <h2 className="text-lg font-semibold tracking-tight">{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  )
}
