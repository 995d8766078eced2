import { defaultRangeExtractor, useVirtualizer, type Range } from '@tanstack/react-virtual'
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { KeyboardEvent, MouseEvent } from 'react'
import { useLocation, useNavigate } from 'react-router'

import { logDownloadURL } from '@/api/calls'
import type { Deployment } from '@/api/types'
import { count } from '@/format/size'
import { calendarDay, duration } from '@/format/time'
import { Button } from '@/ui/Button'

import type { LogBuffer, Section } from './buffer'
import { extend, lineHash, parseLineHash } from './lineHash'
import { LogHeader, LogRow } from './LogRow'
import { LogToolbar } from './LogToolbar'
import { phaseName } from './phases'
import { Rows } from './rows'
import { LogSearch } from './search'
import { useFollow } from './useFollow'
import type { StreamState } from './useLogStream'
import { useNow } from '@/ui/useNow'
import { useRemembered } from '@/ui/useRemembered'

const lineHeight = 20
const headerHeight = 32

type LogViewerProps = {
  deployment: Deployment
  buffer: LogBuffer
  state: StreamState
  delayed: boolean // the log store does not answer
}

export function LogViewer({ deployment, buffer, state, delayed }: LogViewerProps) {
  const version = useSyncExternalStore(buffer.subscribe, buffer.snapshot)
  const scroller = useRef<HTMLDivElement>(null)
  const searchField = useRef<HTMLInputElement>(null)
  const [wrap, setWrap] = useRemembered('log:wrap')
  const [times, setTimes] = useRemembered('log:times')
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set())
  const [query, setQuery] = useState('')
  const [hitLine, setHitLine] = useState<number>()
  const navigate = useNavigate()
  const { hash } = useLocation()
  const chosen = useMemo(() => parseLineHash(hash), [hash])

  // oxlint-disable-next-line react/exhaustive-deps -- the version stands for the buffer's contents
  const rows = useMemo(() => new Rows(buffer, folded), [buffer, folded, version])
  const search = useMemo(() => new LogSearch(query), [query])
  search.look(buffer)
  const { lines } = rows // the buffer may be ahead of what is drawn

  const stuck = useRef(0)
  const virtualizer = useVirtualizer({
    count: rows.count,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (rows.at(index).line === undefined ? headerHeight : lineHeight),
    overscan: 24,
    rangeExtractor: useCallback(
      (range: Range) => {
        stuck.current = rows.headers[rows.sectionAt(range.startIndex)] ?? 0
        const shown = defaultRangeExtractor(range)
        return shown[0] !== undefined && shown[0] > stuck.current
          ? [stuck.current, ...shown]
          : shown
      },
      [rows],
    ),
  })
  // Heights are measured only where lines wrap; everything else is known.
  useEffect(() => virtualizer.measure(), [virtualizer, wrap, folded])

  const toEnd = useCallback(() => {
    const list = scroller.current
    if (list) list.scrollTop = list.scrollHeight
  }, [])
  const following = useFollow(scroller, lines, !chosen, toEnd)
  const { letGo } = following

  const show = useCallback(
    (line: number) => {
      letGo()
      const row = rows.rowOf(line)
      if (row !== undefined) virtualizer.scrollToIndex(row, { align: 'center' })
    },
    [letGo, rows, virtualizer],
  )

  // Go to the lines that the address names, once they are there, and again
  // when the address names others.
  const shownHash = useRef('')
  useEffect(() => {
    if (!chosen || shownHash.current === hash || lines < chosen.from) return
    shownHash.current = hash
    const section = rows.sectionOf(chosen.from - 1)
    if (folded.has(section)) setFolded((before) => without(before, section))
    show(chosen.from - 1)
    scroller.current?.scrollIntoView({ block: 'nearest' })
  }, [chosen, hash, lines, rows, folded, show])

  const choose = useCallback(
    (event: MouseEvent, line: number) => {
      if (event.metaKey || event.ctrlKey) return
      event.preventDefault()
      letGo()
      const next = lineHash(event.shiftKey ? extend(chosen, line) : { from: line, to: line })
      shownHash.current = next
      void navigate({ hash: next }, { replace: true, preventScrollReset: true })
    },
    [chosen, letGo, navigate],
  )

  const step = (direction: 1 | -1) => {
    const from = hitLine ?? (direction === 1 ? -1 : lines)
    const next = search.step(from, direction)
    if (next === undefined) return
    setHitLine(next)
    const section = rows.sectionOf(next)
    if (folded.has(section)) setFolded((before) => without(before, section))
    show(next)
  }

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.metaKey || event.ctrlKey || event.altKey) return
    if (event.key === 'n') step(1)
    else if (event.key === 'N') step(-1)
    else if (event.key === '/') {
      event.preventDefault()
      searchField.current?.focus()
    }
  }

  const foldedAll = buffer.sections.length > 0 && folded.size === buffer.sections.length
  const hit = hitLine === undefined ? 0 : search.hits.indexOf(hitLine) + 1

  return (
    <div className="overflow-clip card bg-sunken">
      <LogToolbar
        search={searchField}
        query={query}
        onQuery={(text) => {
          setQuery(text)
          setHitLine(undefined)
        }}
        hit={hit}
        hits={search.hits.length}
        onStep={step}
        wrap={wrap}
        onWrap={() => setWrap(!wrap)}
        times={times}
        onTimes={() => setTimes(!times)}
        foldedAll={foldedAll}
        onFoldAll={() => setFolded(new Set(foldedAll ? [] : buffer.sections.keys()))}
        copy={() => buffer.text()}
        downloadURL={logDownloadURL(deployment.id)}
        status={
          state === 'interrupted' && <span className="px-2 text-sm text-warn">Reconnecting</span>
        }
      />
      {delayed && state !== 'ended' && (
        <p role="status" className="border-b border-line px-4 py-2 text-sm text-warn">
          Older lines are delayed: the log store is not reachable.
        </p>
      )}
      <div
        ref={scroller}
        role="log"
        aria-label="Build log"
        aria-live="off"
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls by keyboard
        tabIndex={0}
        onScroll={following.onScroll}
        onKeyDown={onKeyDown}
        className="@container max-h-[min(70dvh,52rem)] min-h-40 scroll-my-16 overflow-auto overscroll-contain font-mono text-xs -outline-offset-2"
      >
        {lines === 0 && <Silence deployment={deployment} state={state} />}
        <div className="relative min-w-full" style={{ height: virtualizer.getTotalSize() }}>
          {virtualizer.getVirtualItems().map((item) => {
            const { section, line: index } = rows.at(item.index)
            const measure = wrap ? virtualizer.measureElement : undefined
            const placed = { index: item.index, measure }
            if (index === undefined) {
              const isStuck = item.index === stuck.current
              const span = buffer.sections[section] as Section
              return (
                <LogHeader
                  key={item.key}
                  {...placed}
                  style={
                    isStuck
                      ? { position: 'sticky', top: 0 }
                      : { position: 'absolute', top: 0, transform: `translateY(${item.start}px)` }
                  }
                  name={phaseName(span.phase, deployment.kind)}
                  attempt={span.attempt}
                  took={tookOf(deployment, span)}
                  lines={count(span.to - span.from, 'line')}
                  folded={folded.has(section)}
                  stuck={isStuck}
                  onFold={() =>
                    setFolded((before) =>
                      before.has(section) ? without(before, section) : new Set(before).add(section),
                    )
                  }
                />
              )
            }
            const line = buffer.lines[index]
            if (!line) return null
            return (
              <LogRow
                key={item.key}
                {...placed}
                style={{ position: 'absolute', top: 0, transform: `translateY(${item.start}px)` }}
                line={line}
                number={index + 1}
                pen={buffer.penOf(index)}
                query={search.query}
                current={index === hitLine}
                chosen={chosen !== undefined && index + 1 >= chosen.from && index + 1 <= chosen.to}
                wrap={wrap}
                times={times}
                onChoose={choose}
              />
            )
          })}
        </div>
      </div>
      {!following.following && state !== 'ended' && (
        // In sight wherever the page is scrolled to, as long as the log is.
        <div className="pointer-events-none sticky bottom-20 z-20 -mt-11 flex justify-end p-2 md:bottom-2">
          <Button size="small" onClick={following.follow} className="pointer-events-auto">
            {following.missed > 0 ? count(following.missed, 'new line') : 'Follow'}
          </Button>
        </div>
      )}
    </div>
  )
}

function Silence({ deployment, state }: { deployment: Deployment; state: StreamState }) {
  const now = useNow()
  const expires = deployment.logExpiresAt ? new Date(deployment.logExpiresAt) : undefined
  const expired = expires && expires.getTime() <= now ? expires : undefined
  return (
    <p className="p-4 font-sans text-sm text-ink-3">
      {state === 'ended'
        ? expired
          ? `The log was kept until ${calendarDay(expired)} and is gone.`
          : 'This deployment has written no log.'
        : deployment.status === 'QUEUED'
          ? 'Waiting for a builder. The log begins as soon as one has started.'
          : 'Waiting for the first line.'}
    </p>
  )
}

// tookOf is how long a section's phase took; of earlier attempts no times are
// kept.
function tookOf(deployment: Deployment, { attempt, phase }: Section): string {
  if (attempt !== deployment.attempt) return ''
  const times = deployment.phases.findLast((one) => one.phase === phase)
  if (!times?.endedAt) return ''
  return duration(Date.parse(times.endedAt) - Date.parse(times.startedAt))
}

function without(set: ReadonlySet<number>, item: number): ReadonlySet<number> {
  const next = new Set(set)
  next.delete(item)
  return next
}
