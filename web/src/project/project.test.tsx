import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it } from 'vitest'

import type { Project } from '@/api/types'
import { serve } from '@/testing/api'
import { aDeployment, aProject } from '@/testing/fixtures'
import { me, openPage } from '@/testing/render'

import { headsOf } from './Branches'
import { changesOf, formOf } from './settingsForm'

const live = aDeployment({
  id: 'd2',
  hostId: 'bbbbbbbb',
  inProduction: true,
  createdAt: '2026-01-03T10:00:00Z',
})
const before = aDeployment({ id: 'd1', hostId: 'aaaaaaaa', source: { message: 'As it was' } })

function open(path: string, project: Project, more: Record<string, object> = {}) {
  const asked = serve({
    'GET /auth/me': me,
    'GET /projects/blog': project,
    'GET /projects/p1/deployments': { items: [live, before] },
    ...more,
  })
  openPage(path)
  return asked
}

describe('a project', () => {
  it('is rolled back to the deployment that the dialog names', async () => {
    const asked = open('/p/blog', aProject({ production: live, latest: live }), {
      'POST /deployments/d1/promote': before,
    })
    const card = await screen.findByRole('region', { name: 'Production' })
    expect(within(card).getByRole('link', { name: 'blog.localhost:8001' })).toBeVisible()
    await waitFor(() =>
      expect(within(card).getByRole('button', { name: 'Roll back…' })).toBeEnabled(),
    )
    await screen.findByText('As it was')
    await userEvent.click(within(card).getByRole('button', { name: 'Roll back…' }))
    const dialog = await screen.findByRole('dialog', { name: 'Roll back production' })
    expect(dialog).toHaveTextContent('pinned')
    const noGrace = within(dialog).getByRole('checkbox', { name: /away from open pages/ })
    expect(noGrace).not.toBeChecked()
    await userEvent.click(noGrace)
    await userEvent.click(within(dialog).getByRole('button', { name: 'Roll back to aaaaaaaa' }))
    await waitFor(() =>
      expect(asked.find(({ path }) => path === '/deployments/d1/promote')?.body).toEqual({
        noGrace: true,
      }),
    )
    await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument())
  })

  it('says that it is pinned, and resumes', async () => {
    const asked = open('/p/blog', aProject({ pinned: true, production: before, latest: live }), {
      'POST /projects/p1/resume': aProject(),
    })
    await userEvent.click(await screen.findByRole('button', { name: 'Resume' }))
    await waitFor(() => expect(asked.some(({ path }) => path.endsWith('/resume'))).toBe(true))
  })

  it('keeps its filters in the address', async () => {
    open('/p/blog?status=FAIL&environment=nonsense', aProject({ production: live, latest: live }))
    expect(await screen.findByRole('combobox', { name: 'Status' })).toHaveValue('FAIL')
    expect(screen.getByRole('combobox', { name: 'Environment' })).toHaveValue('')
  })

  it('that does not exist says so', async () => {
    serve({ 'GET /auth/me': me })
    openPage('/p/nothing')
    await screen.findByRole('heading', { name: 'This project does not exist' })
  })
})

describe('its environment', () => {
  it('takes a pasted file, and leaves what it does not name as it is', async () => {
    const kept = {
      key: 'KEPT',
      secret: true,
      environments: ['production'],
      updatedAt: '2026-01-01T00:00:00Z',
    }
    const asked = open('/p/blog/env', aProject(), {
      'GET /projects/p1/env': { items: [kept] },
      'PUT /projects/p1/env': { items: [] },
    })
    await userEvent.click(await screen.findByRole('button', { name: 'Paste a .env file' }))
    await userEvent.type(screen.getByLabelText('Contents'), 'A=1{enter}B="two"')
    await userEvent.click(screen.getByRole('button', { name: 'Save 2 variables' }))
    await waitFor(() => expect(asked.some(({ method }) => method === 'PUT')).toBe(true))
    const both = ['production', 'preview']
    expect(asked.find(({ method }) => method === 'PUT')?.body).toEqual({
      items: [
        { key: 'KEPT', secret: true, environments: ['production'] },
        { key: 'A', value: '1', secret: true, environments: both },
        { key: 'B', value: 'two', secret: true, environments: both },
      ],
    })
  })

  it('never shows a secret', async () => {
    const variable = {
      key: 'TOKEN',
      secret: true,
      environments: ['production'],
      updatedAt: '2026-01-01T00:00:00Z',
    }
    open('/p/blog/env', aProject(), { 'GET /projects/p1/env': { items: [variable] } })
    await screen.findByText('TOKEN')
    expect(screen.queryByRole('button', { name: 'Show TOKEN' })).not.toBeInTheDocument()
    expect(screen.getByText('Secret: can be replaced, not read')).toBeVisible()
  })
})

describe('its settings', () => {
  it('send what has changed, and nothing else', () => {
    const project = aProject({ buildCommand: 'make', notFound: 'auto' })
    const form = formOf(project)
    expect(changesOf(project, form)).toBeUndefined()
    expect(changesOf(project, { ...form, strictRules: 'true' })).toEqual({ strictRules: true })
    expect(changesOf(project, { ...form, earlyHints: 'true' })).toEqual({ earlyHints: true })
    const strict = aProject({ strictRules: true })
    expect(changesOf(strict, { ...formOf(strict), strictRules: '' })).toEqual({
      strictRules: false,
    })
    expect(changesOf(project, { ...form, buildCommand: '', outputDirectory: ' out ' })).toEqual({
      buildCommand: '',
      outputDirectory: 'out',
    })
  })

  it('are deleted with the project only by who types its name', async () => {
    const asked = open('/p/blog/settings', aProject(), { 'DELETE /projects/p1': () => undefined })
    await userEvent.click(await screen.findByRole('button', { name: 'Delete project…' }))
    await userEvent.click(screen.getByRole('button', { name: 'Delete Blog' }))
    expect(asked.some(({ method }) => method === 'DELETE')).toBe(false)
    await userEvent.type(screen.getByLabelText('Type blog to confirm'), 'blog')
    await userEvent.click(screen.getByRole('button', { name: 'Delete Blog' }))
    await waitFor(() => expect(asked.some(({ method }) => method === 'DELETE')).toBe(true))
  })
})

describe('branches', () => {
  it('have their newest deployment at their head', () => {
    const host = {
      host: 'git-main--blog.localhost',
      url: 'http://git-main--blog.localhost',
      role: 'branch' as const,
    }
    const heads = headsOf([
      aDeployment({ id: 'new', hosts: [host] }),
      aDeployment({ id: 'old', hosts: [host] }),
      aDeployment({ id: 'none', source: { branch: 'next' } }),
    ])
    expect(heads.map(({ branch, deployment }) => [branch, deployment.id])).toEqual([
      ['main', 'new'],
    ])
  })
})
