// Select Graphic Rendition (ECMA-48 8.3.117) and nothing else: of every other
// control sequence only its absence is left. What comes out is text and class
// names or colours; it never becomes markup.

export type Pen = {
  readonly color: Color | undefined
  readonly background: Color | undefined
  readonly bold: boolean
  readonly dim: boolean
  readonly italic: boolean
  readonly underline: boolean
  readonly strike: boolean
  readonly inverse: boolean
}

// A Color is one of the theme's sixteen by its number, or an exact one.
export type Color = { readonly index: number } | { readonly rgb: string }

export type Span = { readonly text: string; readonly pen: Pen }

export const plain: Pen = {
  color: undefined,
  background: undefined,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
}

// In order: CSI sequences, OSC and other strings up to their terminator, other
// escapes, and control characters.
const sequence =
  // oxlint-disable-next-line no-control-regex
  /\u001b\[([0-?]*)[ -/]*([@-~])|[\u001b\u009b]\[?[0-?]*[ -/]*$|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|\u001b[ -/]*[0-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

// oxlint-disable-next-line no-control-regex
const special = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/

// parseLine cuts a line into runs of one look each, beginning with pen, and
// returns the pen that the next line begins with.
export function parseLine(line: string, pen: Pen = plain): { spans: Span[]; pen: Pen } {
  const text = lastFrame(line)
  if (!special.test(text)) return { spans: text === '' ? [] : [{ text, pen }], pen }
  const spans: Span[] = []
  let now = pen
  let from = 0
  const push = (to: number) => {
    if (to <= from) return
    const part = text.slice(from, to)
    const last = spans.at(-1)
    if (last?.pen === now) spans[spans.length - 1] = { text: last.text + part, pen: now }
    else spans.push({ text: part, pen: now })
  }
  for (const match of text.matchAll(sequence)) {
    push(match.index)
    from = match.index + match[0].length
    if (match[2] === 'm') now = apply(now, match[1] ?? '')
  }
  push(text.length)
  return { spans, pen: now }
}

// plainText is what of a line can be read.
export function plainText(line: string): string {
  const text = lastFrame(line)
  return special.test(text) ? text.replace(sequence, '') : text
}

// hasEscape reports whether a line may change the pen.
export function hasEscape(line: string): boolean {
  return line.includes('\u001b')
}

// lastFrame is what a terminal would show at the end of a line on which a
// progress bar has been drawn over and over.
function lastFrame(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  return text.slice(text.lastIndexOf('\r') + 1)
}

function apply(pen: Pen, parameters: string): Pen {
  const codes = parameters === '' ? [0] : parameters.split(/[;:]/).map(Number)
  let next = pen
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0
    if (code === 38 || code === 48) {
      const { color, used } = extended(codes, i + 1)
      if (color) next = code === 38 ? { ...next, color } : { ...next, background: color }
      i += used
    } else {
      next = single(next, code)
    }
  }
  return next
}

function single(pen: Pen, code: number): Pen {
  if (code >= 30 && code <= 37) return { ...pen, color: { index: code - 30 } }
  if (code >= 90 && code <= 97) return { ...pen, color: { index: code - 82 } }
  if (code >= 40 && code <= 47) return { ...pen, background: { index: code - 40 } }
  if (code >= 100 && code <= 107) return { ...pen, background: { index: code - 92 } }
  switch (code) {
    case 0:
      return plain
    case 1:
      return { ...pen, bold: true }
    case 2:
      return { ...pen, dim: true }
    case 3:
      return { ...pen, italic: true }
    case 4:
      return { ...pen, underline: true }
    case 7:
      return { ...pen, inverse: true }
    case 9:
      return { ...pen, strike: true }
    case 22:
      return { ...pen, bold: false, dim: false }
    case 23:
      return { ...pen, italic: false }
    case 24:
      return { ...pen, underline: false }
    case 27:
      return { ...pen, inverse: false }
    case 29:
      return { ...pen, strike: false }
    case 39:
      return { ...pen, color: undefined }
    case 49:
      return { ...pen, background: undefined }
    default:
      return pen
  }
}

// extended reads the colour after a 38 or 48: 5;n or 2;r;g;b.
function extended(codes: number[], at: number): { color: Color | undefined; used: number } {
  if (codes[at] === 5) return { color: palette(codes[at + 1] ?? -1), used: 2 }
  if (codes[at] === 2) {
    const rgb = codes.slice(at + 1, at + 4)
    return { color: rgb.length === 3 ? exact(rgb) : undefined, used: 4 }
  }
  return { color: undefined, used: 0 }
}

// palette is xterm's 256 colours.
function palette(n: number): Color | undefined {
  if (!Number.isInteger(n) || n < 0 || n > 255) return undefined
  if (n < 16) return { index: n }
  if (n >= 232) {
    const grey = 8 + 10 * (n - 232)
    return exact([grey, grey, grey])
  }
  const cube = n - 16
  return exact([level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)])
}

function level(step: number): number {
  return step === 0 ? 0 : 55 + 40 * step
}

function exact(rgb: number[]): Color | undefined {
  const ok = rgb.every((part) => Number.isInteger(part) && part >= 0 && part <= 255)
  return ok ? { rgb: `rgb(${rgb.join(' ')})` } : undefined
}
