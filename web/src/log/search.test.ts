import { describe, expect, it } from 'vitest'

import { aLine } from '@/testing/fixtures'

import { LogBuffer } from './buffer'
import { cut, LogSearch } from './search'

describe('LogSearch', () => {
  it('finds what comes later without looking again at what it knows', () => {
    const buffer = new LogBuffer((flush) => flush())
    buffer.append(aLine(1, { text: 'An \u001b[31mERR\u001b[0mor' }))
    buffer.append(aLine(2, { text: 'fine' }))
    const search = new LogSearch('error')
    search.look(buffer)
    expect(search.hits).toEqual([0])
    buffer.append(aLine(3, { text: 'Error again' }))
    search.look(buffer)
    search.look(buffer)
    expect(search.hits).toEqual([0, 2])
  })

  it('steps forwards and backwards, around the ends', () => {
    const search = new LogSearch('x')
    search.hits.push(3, 7, 9)
    expect(search.step(-1, 1)).toBe(3)
    expect(search.step(3, 1)).toBe(7)
    expect(search.step(9, 1)).toBe(3)
    expect(search.step(7, -1)).toBe(3)
    expect(search.step(3, -1)).toBe(9)
    expect(new LogSearch('x').step(0, 1)).toBeUndefined()
  })
})

describe('cut', () => {
  it.each([
    ['no query', 'text', '', ['text']],
    ['no occurrence', 'text', 'q', ['text']],
    [
      'occurrences in any case',
      'An error, an Error',
      'error',
      ['An ', 'error', ', an ', 'Error', ''],
    ],
    ['letters that grow in lower case', 'İstanbul', 'istanbul', ['İstanbul']],
  ])('splits at %s', (_, text, query, expected) => {
    expect(cut(text, query)).toEqual(expected)
  })
})
