import { describe, expect, it } from 'vitest'

import { aLine } from '@/testing/fixtures'

import { LogBuffer } from './buffer'
import { Rows } from './rows'

function buffer() {
  const log = new LogBuffer((flush) => flush())
  log.append(aLine(1, { phase: 'clone' }))
  log.append(aLine(2, { phase: 'clone' }))
  log.append(aLine(3, { phase: 'install' }))
  log.append(aLine(4))
  return log
}

describe('Rows', () => {
  it('counts the lines it was made of, whatever comes after', () => {
    const log = buffer()
    const rows = new Rows(log, new Set([0]))
    log.append(aLine(5))
    expect(rows.lines).toBe(4)
  })

  it('puts a header before each section', () => {
    const rows = new Rows(buffer(), new Set())
    expect(rows.headers).toEqual([0, 3, 5])
    expect(Array.from({ length: rows.count }, (_, row) => rows.at(row))).toEqual([
      { section: 0, line: undefined },
      { section: 0, line: 0 },
      { section: 0, line: 1 },
      { section: 1, line: undefined },
      { section: 1, line: 2 },
      { section: 2, line: undefined },
      { section: 2, line: 3 },
    ])
  })

  it('has no rows for the lines of a folded section', () => {
    const rows = new Rows(buffer(), new Set([0]))
    expect(rows.count).toBe(5)
    expect(rows.rowOf(1)).toBe(0)
    expect(rows.rowOf(3)).toBe(4)
    expect(rows.at(4)).toEqual({ section: 2, line: 3 })
  })

  it('knows no row for a line that is not there', () => {
    expect(new Rows(buffer(), new Set()).rowOf(99)).toBeUndefined()
    expect(new Rows(new LogBuffer(), new Set()).count).toBe(0)
  })
})
