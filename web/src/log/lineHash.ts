// The lines that an address names: #L12, or #L12-L20. Numbers begin at 1.
export type LineRange = { from: number; to: number }

export function parseLineHash(hash: string): LineRange | undefined {
  const match = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(hash)
  if (!match) return undefined
  const first = Number(match[1])
  const last = match[2] === undefined ? first : Number(match[2])
  if (first < 1 || last < 1) return undefined
  return { from: Math.min(first, last), to: Math.max(first, last) }
}

export function lineHash({ from, to }: LineRange): string {
  return from === to ? `#L${from}` : `#L${from}-L${to}`
}

// extend makes the range from what was chosen first to another line.
export function extend(range: LineRange | undefined, line: number): LineRange {
  if (!range) return { from: line, to: line }
  return { from: Math.min(range.from, line), to: Math.max(range.from, line) }
}
