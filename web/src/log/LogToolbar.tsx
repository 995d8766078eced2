import clsx from 'clsx'
import {
  ArrowDown,
  ArrowUp,
  ChevronsDownUp,
  Clock3,
  Download,
  Search,
  TextWrap,
} from 'lucide-react'
import type { ReactNode, Ref } from 'react'

import { IconButton } from '@/ui/Button'
import { CopyButton } from '@/ui/CopyButton'

type LogToolbarProps = {
  search: Ref<HTMLInputElement>
  query: string
  onQuery: (query: string) => void
  hit: number // 1-based; 0: none chosen
  hits: number
  onStep: (direction: 1 | -1) => void
  wrap: boolean
  onWrap: () => void
  times: boolean
  onTimes: () => void
  foldedAll: boolean
  onFoldAll: () => void
  copy: () => string
  downloadURL: string
  status: ReactNode
}

export function LogToolbar(props: LogToolbarProps) {
  const { query, hit, hits } = props
  const noHit = query === '' ? 'Type something to search for.' : 'Nothing was found.'
  return (
    <div className="flex flex-wrap items-center gap-x-2 gap-y-1.5 border-b border-line px-2 py-1.5">
      <div className="relative flex min-w-48 grow items-center sm:max-w-72">
        <Search size={14} className="absolute left-2.5 text-ink-3" aria-hidden />
        <input
          ref={props.search}
          type="search"
          aria-label="Search the log"
          placeholder="Search the log"
          autoComplete="off"
          spellCheck={false}
          value={query}
          onChange={(event) => props.onQuery(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') props.onStep(event.shiftKey ? -1 : 1)
            if (event.key === 'Escape') props.onQuery('')
          }}
          className="field min-h-8 border-line-strong py-1 pl-8 text-sm [&::-webkit-search-cancel-button]:hidden"
        />
      </div>
      <div className="flex items-center">
        <output className="tabular min-w-14 px-1 text-center text-sm text-ink-3" aria-live="polite">
          {query !== '' && (hits === 0 ? 'None' : `${hit || '–'} of ${hits}`)}
        </output>
        <IconButton
          label="Previous match (N)"
          icon={<ArrowUp size={14} aria-hidden />}
          reason={hits === 0 ? noHit : undefined}
          onClick={() => props.onStep(-1)}
        />
        <IconButton
          label="Next match (n)"
          icon={<ArrowDown size={14} aria-hidden />}
          reason={hits === 0 ? noHit : undefined}
          onClick={() => props.onStep(1)}
        />
      </div>
      <div className="ml-auto flex items-center gap-0.5">
        {props.status}
        <Toggle
          label="Timestamps"
          on={props.times}
          onToggle={props.onTimes}
          icon={<Clock3 size={14} aria-hidden />}
        />
        <Toggle
          label="Wrap lines"
          on={props.wrap}
          onToggle={props.onWrap}
          icon={<TextWrap size={14} aria-hidden />}
        />
        <Toggle
          label="Fold phases"
          on={props.foldedAll}
          onToggle={props.onFoldAll}
          icon={<ChevronsDownUp size={14} aria-hidden />}
        />
        <CopyButton text={props.copy} label="Copy the log" />
        <a
          href={props.downloadURL}
          download
          aria-label="Download the log"
          title="Download the log"
          className="inline-flex size-7 items-center justify-center rounded-md text-ink-2 hover:bg-hover hover:text-ink"
        >
          <Download size={14} aria-hidden />
        </a>
      </div>
    </div>
  )
}

type ToggleProps = { label: string; on: boolean; onToggle: () => void; icon: ReactNode }

function Toggle({ label, on, onToggle, icon }: ToggleProps) {
  return (
    <IconButton
      label={label}
      icon={icon}
      aria-pressed={on}
      onClick={onToggle}
      className={clsx(on && 'bg-accent-soft text-accent')}
    />
  )
}
