import clsx from 'clsx'
import { ArrowUpRight } from 'lucide-react'

import { hostOf } from '@/format/source'

// SiteLink opens a site, named by its host.
export function SiteLink({ url, className }: { url: string; className?: string }) {
  return (
    <a
      href={url}
      target="_blank"
      rel="noreferrer"
      className={clsx(
        'inline-flex min-h-6 max-w-full min-w-0 items-center gap-0.5 link',
        className,
      )}
    >
      <span className="truncate">{hostOf(url)}</span>
      <ArrowUpRight size={14} className="shrink-0" aria-hidden />
    </a>
  )
}
