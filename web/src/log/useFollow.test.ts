import { act, renderHook } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'

import { useFollow } from './useFollow'

// A list of 500 pixels in sight, of which `lines` are 20 pixels each.
function follow(atStart = true) {
  const list = { scrollTop: 0, scrollHeight: 2000, clientHeight: 500 }
  const toEnd = vi.fn(() => {
    list.scrollTop = list.scrollHeight - list.clientHeight
  })
  const element = { current: list as unknown as HTMLElement }
  const hook = renderHook(({ lines }) => useFollow(element, lines, atStart, toEnd), {
    initialProps: { lines: 100 },
  })
  const grow = (lines: number) => {
    list.scrollHeight = 20 * lines
    hook.rerender({ lines })
  }
  const scrollTo = (top: number) => {
    list.scrollTop = top
    act(() => hook.result.current.onScroll())
  }
  return { hook, list, toEnd, grow, scrollTo }
}

describe('useFollow', () => {
  it('stays at the end while lines come', () => {
    const { hook, list, grow, scrollTo } = follow()
    grow(200)
    expect(list.scrollTop).toBe(3500)
    scrollTo(3500)
    // The list has grown, and the browser tells of it before the page scrolls.
    list.scrollHeight = 6000
    scrollTo(3500)
    expect(hook.result.current.following).toBe(true)
  })

  it('lets go when one scrolls up, and counts what comes', () => {
    const { hook, toEnd, grow, scrollTo } = follow()
    scrollTo(1500)
    scrollTo(900)
    expect(hook.result.current.following).toBe(false)
    toEnd.mockClear()
    grow(130)
    expect(toEnd).not.toHaveBeenCalled()
    expect(hook.result.current.missed).toBe(30)
  })

  it('takes hold again at the end, or by the button', () => {
    const { hook, list, scrollTo } = follow()
    scrollTo(1500)
    scrollTo(900)
    scrollTo(1490)
    expect(hook.result.current.following).toBe(true)
    scrollTo(200)
    act(() => hook.result.current.follow())
    expect(hook.result.current.following).toBe(true)
    expect(list.scrollTop).toBe(1500)
    expect(hook.result.current.missed).toBe(0)
  })

  it('does not leave what one came to see', () => {
    const { list, grow } = follow(false)
    grow(200)
    expect(list.scrollTop).toBe(0)
  })
})
