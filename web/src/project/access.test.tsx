import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it } from 'vitest'

import type { Project } from '@/api/types'
import { protectedHosts } from '@/deployment/ShareDialog'
import { Problem, serve } from '@/testing/api'
import { aDeployment, aProject } from '@/testing/fixtures'
import { me, openPage } from '@/testing/render'

const url = 'http://4f2c9ab1--blog.localhost:8001'
const hosts = [
  { host: 'blog.localhost', url: 'http://blog.localhost:8001', role: 'production' as const },
  { host: '4f2c9ab1--blog.localhost', url, role: 'deployment' as const },
]
const deployment = aDeployment({ hosts, url, deploymentUrl: url })

function settings(project: Project, more: Record<string, object> = {}) {
  const asked = serve({ 'GET /auth/me': me, 'GET /projects/blog': project, ...more })
  openPage('/p/blog/settings')
  return asked
}

describe('access to a project', () => {
  it('needs a password before it is protected', async () => {
    const asked = settings(aProject(), { 'PUT /projects/p1/access': aProject() })
    const who = await screen.findByRole('combobox', { name: 'Who may look' })
    expect(who).toHaveValue('off')
    expect(screen.queryByLabelText('Password')).not.toBeInTheDocument()
    await userEvent.selectOptions(who, 'previews')
    const save = screen.getByRole('button', { name: 'Save access' })
    expect(save).toHaveAttribute('aria-disabled', 'true')
    await userEvent.type(screen.getByLabelText('Password'), 'a good password')
    await userEvent.click(save)
    await waitFor(() => expect(asked.some(({ method }) => method === 'PUT')).toBe(true))
    expect(asked.find(({ method }) => method === 'PUT')?.body).toEqual({
      scope: 'previews',
      password: 'a good password',
    })
    await waitFor(() => expect(screen.queryByDisplayValue('a good password')).toBeNull())
  })

  it('changes its scope without its password, and says what a new one does', async () => {
    const asked = settings(aProject({ access: { scope: 'previews' } }), {
      'PUT /projects/p1/access': aProject({ access: { scope: 'all' } }),
    })
    const who = await screen.findByRole('combobox', { name: 'Who may look' })
    expect(who).toHaveValue('previews')
    await userEvent.selectOptions(who, 'all')
    await userEvent.click(screen.getByRole('button', { name: 'Save access' }))
    await waitFor(() => expect(asked.some(({ method }) => method === 'PUT')).toBe(true))
    expect(asked.find(({ method }) => method === 'PUT')?.body).toEqual({ scope: 'all' })
    await userEvent.type(screen.getByLabelText('New password'), 'x')
    expect(screen.getByText(/ends every access/)).toBeVisible()
  })

  it('is opened to everyone', async () => {
    const asked = settings(aProject({ access: { scope: 'all' } }), {
      'DELETE /projects/p1/access': () => undefined,
    })
    await userEvent.selectOptions(
      await screen.findByRole('combobox', { name: 'Who may look' }),
      'off',
    )
    await userEvent.click(screen.getByRole('button', { name: 'Open to everyone' }))
    await waitFor(() => expect(asked.some(({ method }) => method === 'DELETE')).toBe(true))
  })

  it('shows what is wrong with a password at its field, and keeps it', async () => {
    settings(aProject(), {
      'PUT /projects/p1/access': () =>
        new Problem(422, 'Use 8 characters', [{ field: 'password', message: 'Use 8 characters' }]),
    })
    await userEvent.selectOptions(
      await screen.findByRole('combobox', { name: 'Who may look' }),
      'all',
    )
    await userEvent.type(screen.getByLabelText('Password'), 'short')
    await userEvent.click(screen.getByRole('button', { name: 'Save access' }))
    await screen.findByText('Use 8 characters.')
    expect(screen.getByLabelText('Password')).toHaveValue('short')
    expect(screen.getByLabelText('Password')).toHaveAttribute('aria-invalid', 'true')
  })
})

describe('a link to a deployment', () => {
  const open = (project: Project, more: Record<string, object> = {}) => {
    const asked = serve({
      'GET /auth/me': me,
      'GET /projects/blog': project,
      'GET /projects/p1/deployments/4f2c9ab1': deployment,
      [`GET /deployments/${deployment.id}/files`]: { items: [] },
      ...more,
    })
    openPage('/p/blog/d/4f2c9ab1')
    return asked
  }

  it('is made for a host that asks for the password', async () => {
    const link = `${url}/?mv_share=token`
    const asked = open(aProject({ access: { scope: 'previews' } }), {
      'POST /projects/p1/share-links': {
        url: link,
        host: '4f2c9ab1--blog.localhost',
        expiresAt: '2026-01-09T10:00:00Z',
      },
    })
    await userEvent.click(await screen.findByRole('button', { name: 'Share…' }))
    const dialog = await screen.findByRole('dialog', { name: 'Share a link' })
    // Production is open: nothing to share there.
    expect(within(dialog).queryByText('blog.localhost')).not.toBeInTheDocument()
    await userEvent.selectOptions(within(dialog).getByLabelText('Good for'), '7 days')
    await userEvent.click(within(dialog).getByRole('button', { name: 'Make a link' }))
    await within(dialog).findByText(link)
    expect(asked.find(({ method }) => method === 'POST')?.body).toEqual({
      host: '4f2c9ab1--blog.localhost',
      expiresIn: 7 * 24 * 3600,
    })
    expect(within(dialog).getByRole('button', { name: 'Copy the link' })).toBeVisible()
  })

  it('is not made where nobody is asked', async () => {
    open(aProject())
    const share = await screen.findByRole('button', { name: 'Share…' })
    expect(share).toHaveAttribute('aria-disabled', 'true')
    await userEvent.click(share)
    expect(screen.queryByRole('dialog')).not.toBeInTheDocument()
  })

  it('leads to protected hosts, its own first', () => {
    const of = (project: Project, over = {}) =>
      protectedHosts(project, { ...deployment, ...over }).map(({ role }) => role)
    expect(of(aProject())).toEqual([])
    expect(of(aProject({ access: { scope: 'previews' } }))).toEqual(['deployment'])
    expect(of(aProject({ access: { scope: 'all' } }))).toEqual(['deployment', 'production'])
    expect(of(aProject({ access: { scope: 'all' } }), { status: 'FAIL' })).toEqual([])
  })
})

describe('a suspended project', () => {
  it('is told from one that is up, and takes no deployment', async () => {
    const production = aDeployment({ inProduction: true })
    serve({
      'GET /auth/me': me,
      'GET /projects/blog': aProject({ state: 'suspended', production, latest: production }),
      'GET /projects/p1/deployments': { items: [production] },
    })
    openPage('/p/blog')
    const card = await screen.findByRole('region', { name: 'Production' })
    expect(card).toHaveTextContent('Suspended')
    expect(card).not.toHaveTextContent('Ready')
    const upload = screen.getByRole('button', { name: 'Upload a folder' })
    expect(upload).toHaveAttribute('aria-disabled', 'true')
  })

  it('says so on every page, and is put up again by an administrator', async () => {
    const asked = settings(aProject({ state: 'suspended' }), {
      'POST /projects/p1/unsuspend': aProject(),
    })
    await screen.findByText(/has suspended this project/)
    await userEvent.click(await screen.findByRole('button', { name: 'Put it up again' }))
    await waitFor(() => expect(asked.some(({ path }) => path.endsWith('/unsuspend'))).toBe(true))
  })

  it('stays down for others', async () => {
    settings(aProject({ state: 'suspended' }), {
      'GET /auth/me': { ...me, user: { ...me.user, admin: false } },
    })
    await screen.findByText(/has suspended this project/)
    await screen.findByRole('combobox', { name: 'Who may look' })
    expect(screen.queryByRole('button', { name: 'Put it up again' })).not.toBeInTheDocument()
  })

  it('is suspended by its subdomain, whoever owns it', async () => {
    const asked = serve({
      'GET /auth/me': me,
      'GET /system': { parts: [], isolation: me.isolation, version: 'test' },
      'POST /projects/theirs/suspend': aProject({ name: 'Theirs', state: 'suspended' }),
    })
    openPage('/system')
    await userEvent.type(await screen.findByLabelText('Subdomain or id'), 'theirs')
    await userEvent.click(screen.getByRole('button', { name: 'Suspend' }))
    await waitFor(() => expect(asked.some(({ path }) => path.endsWith('/suspend'))).toBe(true))
    await waitFor(() => expect(screen.getByLabelText('Subdomain or id')).toHaveValue(''))
  })
})
