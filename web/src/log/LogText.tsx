import type { CSSProperties } from 'react'

import { parseLine, plain, type Color, type Pen, type Span } from './ansi'
import { cut } from './search'

const names = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white']

// A line that changes its colour at every letter is not worth a thousand
// elements: past this many runs the rest is drawn in one.
const spansAtMost = 300

type LogTextProps = { text: string; pen: Pen; query: string; current: boolean }

// LogText is a log line in its colours, with every occurrence of the search
// marked. All of it is text nodes.
export function LogText({ text, pen, query, current }: LogTextProps) {
  return bounded(parseLine(text, pen).spans).map((span, index) => (
    <span key={index} style={styleOf(span.pen)}>
      {cut(span.text, query).map((part, at) =>
        at % 2 === 0 ? (
          part
        ) : (
          <mark
            key={at}
            className={current ? 'rounded-sm bg-mark-now text-ink' : 'rounded-sm bg-mark text-ink'}
          >
            {part}
          </mark>
        ),
      )}
    </span>
  ))
}

function bounded(spans: Span[]): Span[] {
  if (spans.length <= spansAtMost) return spans
  const rest = spans.slice(spansAtMost)
  return [
    ...spans.slice(0, spansAtMost),
    { text: rest.map((span) => span.text).join(''), pen: plain },
  ]
}

function styleOf(pen: Pen): CSSProperties {
  const style: CSSProperties = {}
  const background = pen.inverse ? (pen.color ?? 'ink') : pen.background
  if (background) {
    // On any of the theme's colours the log's own background is readable.
    style.background = background === 'ink' ? 'var(--ink)' : css(background)
    style.color = 'var(--sunken)'
  } else if (pen.color) {
    style.color = css(pen.color)
  } else if (pen.dim) {
    style.color = 'var(--ink-3)'
  }
  if (pen.bold) style.fontWeight = 600
  if (pen.italic) style.fontStyle = 'italic'
  const lines = [pen.underline && 'underline', pen.strike && 'line-through'].filter(Boolean)
  if (lines.length > 0) style.textDecoration = lines.join(' ')
  return style
}

// css keeps an exact colour's hue, and of its lightness what is readable.
function css(color: Color): string {
  if ('rgb' in color) {
    return `oklch(from ${color.rgb} clamp(var(--exact-min), l, var(--exact-max)) c h)`
  }
  const bright = color.index >= 8 ? 'bright-' : ''
  return `var(--ansi-${bright}${names[color.index % 8]})`
}
