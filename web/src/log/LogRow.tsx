import clsx from 'clsx'
import { ChevronDown } from 'lucide-react'
import { memo, type CSSProperties, type MouseEvent, type Ref } from 'react'

import type { LogLine, Stream } from '@/api/types'
import { clock } from '@/format/time'

import type { Pen } from './ansi'
import { LogText } from './LogText'

type Placed = { style: CSSProperties; index: number; measure: Ref<HTMLDivElement> | undefined }

type LineProps = Placed & {
  line: LogLine
  number: number
  pen: Pen
  query: string
  current: boolean // it is the hit that the search stands at
  chosen: boolean // the address names it
  wrap: boolean
  times: boolean
  onChoose: (event: MouseEvent, line: number) => void
}

const marks: Record<Stream, { sign: string; label: string; tone: string }> = {
  stdout: { sign: '', label: '', tone: '' },
  stderr: { sign: '!', label: 'stderr: ', tone: 'text-warn font-semibold' },
  system: { sign: '›', label: 'Mini-Vercel: ', tone: 'text-accent' },
}

export const LogRow = memo(function LogRow(props: LineProps) {
  const { line, number, pen, query, current, chosen, wrap, times, onChoose } = props
  const mark = marks[line.stream]
  return (
    <div
      ref={props.measure}
      data-index={props.index}
      style={props.style}
      className={clsx(
        // Letters with towers of accents stay within their line.
        'flex min-h-5 min-w-full overflow-y-clip leading-5',
        wrap ? 'w-full' : 'w-max',
        chosen ? 'bg-accent-soft' : 'hover:bg-hover',
      )}
    >
      <a
        href={`#L${number}`}
        onClick={(event) => onChoose(event, number)}
        aria-label={`Line ${number}`}
        className={clsx(
          'tabular w-14 shrink-0 pr-2 text-right select-none hover:underline',
          chosen
            ? 'border-l-2 border-accent text-accent'
            : 'border-l-2 border-transparent text-ink-3',
        )}
      >
        {number}
      </a>
      {times && (
        <time dateTime={line.time} className="shrink-0 pr-3 text-ink-3 select-none">
          {clock(new Date(line.time))}
        </time>
      )}
      <span className={clsx('w-4 shrink-0 select-none', mark.tone)} aria-hidden>
        {mark.sign}
      </span>
      <span
        className={clsx(
          // Marks that turn the direction of text end with the line.
          'min-w-0 grow pr-4 [unicode-bidi:isolate]',
          wrap ? 'break-words whitespace-pre-wrap' : 'whitespace-pre',
          line.stream === 'system' && 'text-ink-2',
        )}
      >
        {mark.label && <span className="sr-only">{mark.label}</span>}
        <LogText text={line.text} pen={pen} query={query} current={current} />
      </span>
    </div>
  )
})

type HeaderProps = Placed & {
  name: string
  attempt: number
  took: string
  lines: string
  folded: boolean
  stuck: boolean
  onFold: () => void
}

export function LogHeader(props: HeaderProps) {
  const { name, attempt, took, lines, folded, stuck, onFold } = props
  return (
    <div
      ref={props.measure}
      data-index={props.index}
      style={props.style}
      className={clsx('left-0 z-10 w-full bg-sunken', stuck && 'border-b border-line')}
    >
      <button
        type="button"
        aria-expanded={!folded}
        onClick={onFold}
        className="sticky left-0 flex h-8 w-full max-w-[100cqw] items-center gap-2 px-3 text-left font-sans text-sm -outline-offset-2 hover:bg-hover"
      >
        <ChevronDown
          size={14}
          className={clsx('text-ink-3 transition-transform', folded && '-rotate-90')}
          aria-hidden
        />
        <span className="font-medium">{name}</span>
        {attempt > 1 && <span className="text-ink-3">attempt {attempt}</span>}
        <span className="tabular ml-auto text-ink-3">{lines}</span>
        {took && <span className="tabular w-14 text-right text-ink-2">{took}</span>}
      </button>
    </div>
  )
}
