import { plainText } from './ansi'
import type { LogBuffer } from './buffer'

// LogSearch finds a text in a log that grows: what has been looked at is not
// looked at again.
export class LogSearch {
  readonly query: string
  readonly hits: number[] = [] // indexes of lines, ascending
  private looked = 0

  constructor(query: string) {
    this.query = query.toLowerCase()
  }

  look(buffer: LogBuffer): void {
    if (this.query === '') return
    const { lines } = buffer
    for (; this.looked < lines.length; this.looked++) {
      const line = lines[this.looked]
      if (line && plainText(line.text).toLowerCase().includes(this.query))
        this.hits.push(this.looked)
    }
  }

  // step is the hit after (or before) a line, going around at the ends.
  step(from: number, direction: 1 | -1): number | undefined {
    if (this.hits.length === 0) return undefined
    if (direction === 1) return this.hits.find((hit) => hit > from) ?? this.hits[0]
    return this.hits.findLast((hit) => hit < from) ?? this.hits.at(-1)
  }
}

// cut splits a text at every occurrence of a query (in lower case): the odd
// parts are the occurrences.
export function cut(text: string, query: string): string[] {
  if (query === '') return [text]
  const lower = text.toLowerCase()
  // Some letters change their length in lower case; then nothing can be placed.
  if (lower.length !== text.length) return [text]
  const parts: string[] = []
  let from = 0
  for (let at = lower.indexOf(query); at >= 0; at = lower.indexOf(query, from)) {
    parts.push(text.slice(from, at), text.slice(at, at + query.length))
    from = at + query.length
  }
  parts.push(text.slice(from))
  return parts
}
