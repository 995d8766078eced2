import { describe, expect, it } from 'vitest'

import { extend, lineHash, parseLineHash } from './lineHash'

describe('parseLineHash', () => {
  it.each([
    ['#L12', { from: 12, to: 12 }],
    ['#L12-L20', { from: 12, to: 20 }],
    ['#L20-12', { from: 12, to: 20 }],
    ['#L0', undefined],
    ['#12', undefined],
    ['#L12x', undefined],
    ['', undefined],
  ])('reads %s', (hash, expected) => {
    expect(parseLineHash(hash)).toEqual(expected)
  })

  it('reads what lineHash writes', () => {
    expect(lineHash({ from: 3, to: 3 })).toBe('#L3')
    expect(parseLineHash(lineHash({ from: 3, to: 9 }))).toEqual({ from: 3, to: 9 })
  })
})

describe('extend', () => {
  it('reaches from the line that was chosen first to the other', () => {
    expect(extend(undefined, 4)).toEqual({ from: 4, to: 4 })
    expect(extend({ from: 4, to: 4 }, 9)).toEqual({ from: 4, to: 9 })
    expect(extend({ from: 4, to: 9 }, 2)).toEqual({ from: 2, to: 4 })
  })
})
