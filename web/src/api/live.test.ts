import { beforeEach, describe, expect, it, vi } from 'vitest'

import { FakeEventSource } from '@/testing/eventSource'

import { Relevance } from './invalidate'
import { live } from './live'
import { queryClient } from './queries'

describe('Relevance', () => {
  it('passes over a running deployment’s phases, and over nothing else', () => {
    const relevance = new Relevance()
    const change = (status: 'QUEUED' | 'IN_PROGRESS' | 'READY') =>
      relevance.of({ type: 'deployment', project: 'p1', deployment: 'd1', status })
    expect(
      (['QUEUED', 'IN_PROGRESS', 'IN_PROGRESS', 'READY', 'READY', 'IN_PROGRESS'] as const).map(
        change,
      ),
    ).toEqual([true, true, false, true, true, true])
    expect(relevance.of({ type: 'project', project: 'p1' })).toBe(true)
  })
})

describe('the event stream', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    return () => vi.useRealTimers()
  })

  it('has what changed asked for again, many changes at once', () => {
    const asked = vi.spyOn(queryClient, 'invalidateQueries')
    const stop = live.start()
    const stream = FakeEventSource.to('/events')
    stream.send('open')
    for (let n = 0; n < 50; n++) {
      stream.send('change', {
        type: 'deployment',
        project: 'p1',
        deployment: `d${n}`,
        status: 'READY',
      })
    }
    vi.advanceTimersByTime(1000)
    expect(
      asked.mock.calls.filter(([filter]) => filter?.queryKey?.[0] === 'projects'),
    ).toHaveLength(1)
    expect(asked).toHaveBeenCalledWith({ queryKey: ['deployments', 'p1'] })
    stop()
    expect(stream.readyState).toBe(FakeEventSource.CLOSED)
  })

  it('is called lost after a while, opened again, and then asks for all that it missed', () => {
    const stop = live.start()
    const first = FakeEventSource.to('/events')
    first.send('open')
    expect(live.state()).toBe('live')
    first.close()
    first.send('error')
    vi.advanceTimersByTime(3500)
    expect(live.state()).toBe('live')
    const second = FakeEventSource.to('/events')
    vi.advanceTimersByTime(1000)
    expect(live.state()).toBe('lost')
    const asked = vi.spyOn(queryClient, 'invalidateQueries')
    second.send('open')
    expect(live.state()).toBe('live')
    expect(asked).toHaveBeenCalledWith()
    stop()
  })
})
