import { act, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { beforeAll, describe, expect, it } from 'vitest'

import type { Deployment } from '@/api/types'
import { serve } from '@/testing/api'
import { FakeEventSource } from '@/testing/eventSource'
import { aDeployment, aLine, aProject } from '@/testing/fixtures'
import { me, openPage } from '@/testing/render'

import { segmentsOf } from './PhaseBar'

const path = '/projects/p1/deployments/4f2c9ab1'
const stream = '/deployments/4f2c9ab1-0000-4000-8000-000000000000/logs/stream'

function open(deployment: Deployment, more: Record<string, object> = {}) {
  const asked = serve({
    'GET /auth/me': me,
    'GET /projects/blog': aProject({ gitURL: 'https://github.com/ada/blog' }),
    [`GET ${path}`]: deployment,
    [`GET /deployments/${deployment.id}/files`]: { items: [] },
    ...more,
  })
  openPage('/p/blog/d/4f2c9ab1')
  return asked
}

// A virtual list draws what fits; without a layout nothing would.
beforeAll(() => {
  let prototype = Object.getPrototypeOf(document.body) as object
  while (!Object.hasOwn(prototype, 'clientHeight')) prototype = Object.getPrototypeOf(prototype)
  Object.defineProperties(prototype, {
    clientHeight: { configurable: true, value: 600 },
    clientWidth: { configurable: true, value: 800 },
  })
})

describe('a deployment that is building', () => {
  const building = aDeployment({ status: 'IN_PROGRESS', phase: 'build' })

  it('shows its log as it comes, and its end without a reload', async () => {
    open(building)
    await screen.findByText('Building')
    const log = FakeEventSource.to(stream)
    log.send('line', aLine(1, { text: '\u001b[32mcompiled\u001b[39m <b>14</b> modules' }))
    const region = screen.getByRole('log', { name: 'Build log' })
    await waitFor(() => expect(region).toHaveTextContent('compiled <b>14</b> modules'))
    expect(region.querySelector('b')).toBeNull()
    act(() => {
      log.send('state', { ...building, status: 'READY', updatedAt: '2026-01-02T10:01:00Z' })
      log.send('end')
    })
    await screen.findByText('Ready')
    expect(log.readyState).toBe(FakeEventSource.CLOSED)
  })

  it('says that older lines are delayed as long as the log store is away', async () => {
    open(building)
    await screen.findByText('Waiting for the first line.')
    const log = FakeEventSource.to(stream)
    act(() => log.send('history', { delayed: true }))
    const notice = /Older lines are delayed: the log store is not reachable/
    await screen.findByText(notice)
    act(() => log.send('history', { delayed: false }))
    await waitFor(() => expect(screen.queryByText(notice)).toBeNull())
  })

  it('says of a log that has outlived its retention that it is gone', async () => {
    open({ ...building, status: 'READY', logExpiresAt: '2026-02-01T00:00:00Z' })
    await screen.findByText('Waiting for the first line.')
    act(() => FakeEventSource.to(stream).send('end'))
    await screen.findByText(/The log was kept until .*2026 and is gone\./)
  })

  it('can be searched: / and n go on from the log, with a count', async () => {
    open(building)
    const region = await screen.findByRole('log', { name: 'Build log' })
    const log = FakeEventSource.to(stream)
    for (const [index, text] of ['one error', 'fine', 'another Error'].entries()) {
      log.send('line', aLine(index + 1, { text }))
    }
    await waitFor(() => expect(region).toHaveTextContent('another Error'))
    region.focus()
    await userEvent.keyboard('/error')
    await screen.findByText('– of 2')
    region.focus()
    await userEvent.keyboard('nn')
    await screen.findByText('2 of 2')
    expect(region.querySelectorAll('mark')).toHaveLength(2)
  })

  it('folds its phases', async () => {
    open(building)
    const region = await screen.findByRole('log', { name: 'Build log' })
    FakeEventSource.to(stream).send('line', aLine(1, { text: 'compiling' }))
    await waitFor(() => expect(region).toHaveTextContent('compiling'))
    const header = screen.getByRole('button', { name: /^Build/ })
    await userEvent.click(header)
    expect(header).toHaveAttribute('aria-expanded', 'false')
    expect(region).not.toHaveTextContent('compiling')
  })

  it('can be canceled', async () => {
    const asked = open(building, {
      [`POST /deployments/${building.id}/cancel`]: { ...building, status: 'CANCELED' },
    })
    await userEvent.click(await screen.findByRole('button', { name: 'Cancel' }))
    await waitFor(() => expect(asked.some(({ path: at }) => at.endsWith('/cancel'))).toBe(true))
  })
})

describe('a deployment that failed', () => {
  it('says why, leads to the line, and can be tried again', async () => {
    const phases = [{ phase: 'build' as const, startedAt: '2026-01-02T10:00:00Z' }]
    open(
      aDeployment({
        status: 'FAIL',
        phase: 'build',
        phases,
        reason: 'npm run build exited with 1',
      }),
    )
    expect(await screen.findByText('npm run build exited with 1')).toBeVisible()
    act(() => {
      FakeEventSource.to(stream).send('line', aLine(1))
      FakeEventSource.to(stream).send(
        'line',
        aLine(2, { stream: 'stderr', text: 'Error: no such file' }),
      )
    })
    const link = await screen.findByRole('link', { name: 'Line 2 of the log' })
    expect(link).toHaveAttribute('href', '/p/blog/d/4f2c9ab1#L2')
    expect(screen.getByRole('button', { name: 'Retry' })).toBeVisible()
  })
})

describe('a deployment that is ready', () => {
  it('is promoted by a button that names it, and lists its addresses', async () => {
    const host = '4f2c9ab1--blog.localhost'
    const deployment = aDeployment({
      hosts: [{ host, url: `http://${host}:8001`, role: 'deployment' }],
      deploymentUrl: `http://${host}:8001`,
    })
    const asked = open(deployment, { [`POST /deployments/${deployment.id}/promote`]: deployment })
    await screen.findByRole('link', { name: `${host}:8001` })
    await userEvent.click(screen.getByRole('button', { name: 'Promote 0123456 to production' }))
    await screen.findByText('Production is now 4f2c9ab1.')
    expect(asked.some(({ path: at }) => at.endsWith('/promote'))).toBe(true)
  })

  it('is deleted only by who types its id', async () => {
    const deployment = aDeployment()
    const asked = open(deployment, { [`DELETE /deployments/${deployment.id}`]: () => undefined })
    await userEvent.click(await screen.findByRole('button', { name: 'Delete…' }))
    const confirm = await screen.findByRole('button', { name: 'Delete 4f2c9ab1' })
    await userEvent.click(confirm)
    expect(asked.some(({ method }) => method === 'DELETE')).toBe(false)
    await userEvent.type(screen.getByLabelText('Type 4f2c9ab1 to confirm'), '4f2c9ab1')
    await userEvent.click(confirm)
    await waitFor(() => expect(asked.some(({ method }) => method === 'DELETE')).toBe(true))
  })
})

describe('the phases', () => {
  const times = (phase: 'clone' | 'build' | 'upload', startedAt: number, endedAt?: number) => ({
    phase,
    startedAt: new Date(startedAt).toISOString(),
    ...(endedAt ? { endedAt: new Date(endedAt).toISOString() } : {}),
  })
  const states = (deployment: Deployment) =>
    Object.fromEntries(segmentsOf(deployment, 10_000).map(({ phase, state }) => [phase, state]))

  it('run, lie ahead, or took their time', () => {
    const deployment = aDeployment({
      status: 'IN_PROGRESS',
      phases: [times('clone', 1000, 2500), times('build', 4000)],
    })
    expect(states(deployment)).toMatchObject({ clone: 'done', build: 'running', publish: 'ahead' })
    const build = segmentsOf(deployment, 10_000).find(({ phase }) => phase === 'build')
    expect(build?.milliseconds).toBe(6000)
  })

  it('end where the deployment did', () => {
    const phases = [times('clone', 1000, 2500), times('build', 4000)]
    const endedAt = new Date(5000).toISOString()
    expect(states(aDeployment({ status: 'FAIL', phases, endedAt }))).toMatchObject({
      build: 'failed',
    })
    expect(states(aDeployment({ status: 'CANCELED', phases, endedAt }))).toMatchObject({
      build: 'stopped',
    })
    expect(states(aDeployment({ status: 'READY', phases, endedAt }))).toMatchObject({
      install: 'skipped',
      build: 'done',
    })
  })

  it('of uploaded files are two', () => {
    expect(
      segmentsOf(aDeployment({ kind: 'files', status: 'IN_PROGRESS' }), 0).map(
        ({ phase }) => phase,
      ),
    ).toEqual(['upload', 'publish'])
    const phases = [times('upload', 1000, 2000)]
    expect(states(aDeployment({ kind: 'files', status: 'READY', phases }))).toEqual({
      upload: 'done',
    })
  })
})
