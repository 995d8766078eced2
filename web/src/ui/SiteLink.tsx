import clsx from 'clsx'
import { ArrowUpRight } from 'lucide-react'

import { hostOf } from '@/format/source'

type SiteLinkProps = { url: string; text?: string; className?: string }

// SiteLink opens a site, named by its host.
export function SiteLink({ url, text = hostOf(url), className }: SiteLinkProps) {
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
      <span className="truncate">{text}</span>
      <ArrowUpRight size={14} className="shrink-0" aria-hidden />
    </a>
  )
}
