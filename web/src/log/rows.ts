import type { LogBuffer, Section } from './buffer'

// A Row of the viewer is a section's header or one of its lines, by its index
// in the buffer. Rows are worked out from where they stand, not kept: a log may
// have more than a hundred thousand of them.
export type Row = { section: number; line: number | undefined }

type Placed = { header: number; lines: number; section: Section }

export class Rows {
  readonly count: number
  readonly lines: number // of the log when these rows were made
  readonly headers: number[] = []
  private placed: Placed[] = []

  constructor(buffer: LogBuffer, folded: ReadonlySet<number>) {
    let at = 0
    for (const [index, section] of buffer.sections.entries()) {
      const lines = folded.has(index) ? 0 : section.to - section.from
      this.placed.push({ header: at, lines, section })
      this.headers.push(at)
      at += 1 + lines
    }
    this.count = at
    this.lines = buffer.lines.length
  }

  at(row: number): Row {
    const section = this.sectionAt(row)
    const { header, section: span } = this.placed[section] as Placed
    return { section, line: row === header ? undefined : span.from + row - header - 1 }
  }

  // sectionAt is the section that a row belongs to.
  sectionAt(row: number): number {
    let low = 0
    let high = this.placed.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.headers[middle] ?? 0) <= row) low = middle
      else high = middle - 1
    }
    return low
  }

  // sectionOf is the section that a line belongs to.
  sectionOf(line: number): number {
    return this.placed.findIndex(({ section }) => line >= section.from && line < section.to)
  }

  // rowOf is where a line stands, or its section's header where that is folded.
  rowOf(line: number): number | undefined {
    const place = this.placed[this.sectionOf(line)]
    if (!place) return undefined
    return place.lines === 0 ? place.header : place.header + 1 + line - place.section.from
  }
}
