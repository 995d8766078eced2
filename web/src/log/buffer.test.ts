import { describe, expect, it, vi } from 'vitest'

import { aLine } from '@/testing/fixtures'

import { plain } from './ansi'
import { culprit, LogBuffer } from './buffer'

function bufferOf(...lines: ReturnType<typeof aLine>[]) {
  const buffer = new LogBuffer((flush) => flush())
  for (const line of lines) buffer.append(line)
  return buffer
}

describe('LogBuffer', () => {
  it('takes a line that a reconnect repeats only once', () => {
    const buffer = bufferOf(aLine(1), aLine(2), aLine(1), aLine(2), aLine(3))
    expect(buffer.lines.map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(buffer.cursor()).toBe('1-3')
  })

  it('goes on with a new attempt, whose numbers begin again', () => {
    const buffer = bufferOf(aLine(8), aLine(1, { attempt: 2 }), aLine(9))
    expect(buffer.lines).toHaveLength(2)
    expect(buffer.cursor()).toBe('2-1')
  })

  it('cuts the log into its phases', () => {
    const buffer = bufferOf(
      aLine(1, { phase: 'clone' }),
      aLine(2),
      aLine(3),
      aLine(1, { phase: 'clone', attempt: 2 }),
    )
    expect(buffer.sections).toEqual([
      { attempt: 1, phase: 'clone', from: 0, to: 1 },
      { attempt: 1, phase: 'build', from: 1, to: 3 },
      { attempt: 2, phase: 'clone', from: 3, to: 4 },
    ])
  })

  it('carries a colour over lines, but not into another phase or our own lines', () => {
    const buffer = bufferOf(
      aLine(1, { text: '\u001b[31merror' }),
      aLine(2),
      aLine(3, { stream: 'system' }),
      aLine(4, { text: '\u001b[32m' }),
      aLine(5, { phase: 'upload' }),
    )
    expect(buffer.penOf(0)).toBe(plain)
    expect(buffer.penOf(1)).toMatchObject({ color: { index: 1 } })
    expect(buffer.penOf(2)).toBe(plain)
    expect(buffer.penOf(4)).toBe(plain)
  })

  it('tells of many lines at once', () => {
    const flushes: (() => void)[] = []
    const buffer = new LogBuffer((flush) => flushes.push(flush))
    const listener = vi.fn()
    buffer.subscribe(listener)
    for (let seq = 1; seq <= 1000; seq++) buffer.append(aLine(seq))
    expect(flushes).toHaveLength(1)
    flushes[0]?.()
    expect(listener).toHaveBeenCalledTimes(1)
    expect(buffer.snapshot()).toBe(1)
  })

  it('is copied without control sequences', () => {
    expect(bufferOf(aLine(1, { text: '\u001b[1mbold\u001b[0m' }), aLine(2)).text()).toBe(
      'bold\nline 2',
    )
  })
})

describe('culprit', () => {
  it('is the first line of the failed phase that calls itself an error', () => {
    const buffer = bufferOf(
      aLine(1, { phase: 'install', text: 'error: of another phase' }),
      aLine(2, { text: 'compiling' }),
      aLine(3, { text: '\u001b[31mError: it broke' }),
      aLine(4, { stream: 'stderr', text: 'at build.js:3' }),
    )
    expect(culprit(buffer, 'build')).toBe(2)
  })

  it('is else the last line on stderr', () => {
    const buffer = bufferOf(
      aLine(1, { stream: 'stderr', text: 'it broke' }),
      aLine(2, { text: 'bye' }),
      aLine(3, { stream: 'system', text: 'npm run build exited with code 1' }),
    )
    expect(culprit(buffer, 'build')).toBe(0)
  })

  it('is nothing where the phase has written nothing', () => {
    expect(culprit(bufferOf(aLine(1)), 'upload')).toBeUndefined()
  })
})
