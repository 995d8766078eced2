import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it } from 'vitest'

import type { Domain } from '@/api/types'
import { Problem, serve } from '@/testing/api'
import { aDeployment, aDomain, aProject } from '@/testing/fixtures'
import { me, openPage } from '@/testing/render'

import { otherHost } from './names'

function open(items: Domain[], more: Record<string, object> = {}, path = '/p/blog/domains') {
  const asked = serve({
    'GET /auth/me': me,
    'GET /projects/blog': aProject({ production: aDeployment(), latest: aDeployment() }),
    'GET /projects/p1/deployments': { items: [aDeployment()] },
    'GET /projects/p1/domains': { items },
    ...Object.fromEntries(items.map((d) => [`GET /projects/p1/domains/${d.host}`, d])),
    ...more,
  })
  openPage(path)
  return asked
}

describe('the domains of a project', () => {
  it('say what to do while there are none', async () => {
    open([])
    expect(await screen.findByText('No domains yet')).toBeVisible()
    expect(screen.getByText('mini-vercel domains add www.example.com --project blog')).toBeVisible()
  })

  it('show each record to set beside what DNS has now', async () => {
    open([aDomain()])
    const records = await screen.findByRole('list', { name: 'DNS records of www.example.com' })
    const [txt, cname] = within(records).getAllByRole('listitem')
    expect(txt).toHaveTextContent('_mini-vercel.www.example.com')
    expect(txt).toHaveTextContent('Not set')
    expect(cname).toHaveTextContent('Different')
    expect(cname).toHaveTextContent('In DNS now: old.example.net')
    expect(
      within(cname as HTMLElement).getByRole('button', {
        name: 'Copy the value of the CNAME record',
      }),
    ).toBeVisible()
  })

  it('are looked up live while they wait', async () => {
    const asked = open([aDomain()], {
      'GET /projects/p1/domains/www.example.com': aDomain({
        state: 'active',
        checkedAt: '2026-01-01T10:00:10Z',
        detail: 'The domain leads to this project.',
        certificate: { state: 'none', detail: 'The edge has none yet.' },
      }),
    })
    expect(await screen.findByText('Active')).toBeVisible()
    expect(screen.getByText('The edge has none yet.')).toBeVisible()
    expect(screen.getByRole('link', { name: 'www.example.com' })).toBeVisible()
    expect(asked.some(({ method }) => method === 'POST')).toBe(false)
  })

  it('that are active ask nothing until they are opened', async () => {
    const asked = open([aDomain({ state: 'active', detail: 'Leads here.' })])
    await screen.findByText('Leads here.')
    const looks = () => asked.filter(({ path }) => path.endsWith('/www.example.com')).length
    expect(looks()).toBe(0)
    await userEvent.click(screen.getByRole('button', { name: 'DNS records and certificate' }))
    await waitFor(() => expect(looks()).toBe(1))
  })

  it('are checked on demand', async () => {
    open([aDomain()], {
      'POST /projects/p1/domains/www.example.com/verify': aDomain({
        state: 'active',
        checkedAt: '2026-01-01T10:01:00Z',
      }),
    })
    await userEvent.click(await screen.findByRole('button', { name: 'Check now' }))
    expect(await screen.findByText('Active')).toBeVisible()
  })

  it('are added with the other one, by one tick', async () => {
    const asked = open([], { 'POST /projects/p1/domains': aDomain() })
    await userEvent.click(await screen.findByRole('button', { name: 'Add domain' }))
    const dialog = screen.getByRole('dialog', { name: 'Add a domain' })
    await userEvent.type(within(dialog).getByLabelText('Domain'), 'example.com')
    await userEvent.click(
      within(dialog).getByLabelText('Redirect www.example.com to example.com too'),
    )
    await userEvent.click(within(dialog).getByRole('button', { name: 'Add domain' }))
    await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument())
    expect(asked.find(({ method }) => method === 'POST')?.body).toEqual({
      host: 'example.com',
      redirectOther: true,
    })
  })

  it('say at the field what is wrong, and keep what was typed', async () => {
    const message = 'The name co.uk is a public suffix.'
    open([], {
      'POST /projects/p1/domains': new Problem(422, 'Some fields are not valid.', [
        { field: 'host', message },
      ]),
    })
    await userEvent.click(await screen.findByRole('button', { name: 'Add domain' }))
    const dialog = screen.getByRole('dialog')
    // Why a button can't be pressed is said in the dialog: what is outside lies beneath it.
    await userEvent.hover(within(dialog).getByRole('button', { name: 'Add domain' }))
    expect(await within(dialog).findByRole('tooltip')).toHaveTextContent('Give a domain first.')
    await userEvent.unhover(within(dialog).getByRole('button', { name: 'Add domain' }))
    await userEvent.type(within(dialog).getByLabelText('Domain'), 'co.uk{enter}')
    expect(await within(dialog).findByRole('alert')).toHaveTextContent(message)
    expect(within(dialog).getByLabelText('Domain')).toHaveValue('co.uk')
    expect(within(dialog).getByLabelText('Domain')).toHaveAccessibleDescription(message)
    await userEvent.click(within(dialog).getByRole('button', { name: 'Cancel' }))
    expect(screen.getByRole('button', { name: 'Add domain' })).toHaveFocus()
  })

  it('are made primary', async () => {
    const other = aDomain({ host: 'b.example', unicode: 'b.example', state: 'active' })
    const asked = open([aDomain({ state: 'active', primary: true }), other], {
      'PATCH /projects/p1': aProject({ customDomain: 'b.example' }),
    })
    await userEvent.click(await screen.findByRole('button', { name: 'Make primary' }))
    await waitFor(() =>
      expect(asked.find(({ method }) => method === 'PATCH')?.body).toEqual({
        customDomain: 'b.example',
      }),
    )
  })

  it('come back by undo, with those that redirect to them', async () => {
    const main = aDomain({ host: 'example.com', unicode: 'example.com', state: 'active' })
    const www = aDomain({ state: 'active', redirectTo: 'example.com' })
    const asked = open([main, www], {
      'DELETE /projects/p1/domains/example.com': () => undefined,
      'POST /projects/p1/domains': main,
    })
    await userEvent.click(
      await screen.findByRole('button', { name: 'Remove example.com, and www.example.com' }),
    )
    await userEvent.click(await screen.findByRole('button', { name: 'Undo' }))
    await waitFor(() =>
      expect(asked.find(({ method }) => method === 'POST')?.body).toEqual({
        host: 'example.com',
        redirectOther: true,
      }),
    )
  })
})

describe('a domain whose records are gone', () => {
  const gone = aDomain({ state: 'missing', stopsAt: '2026-02-01T10:00:00Z' })
  for (const path of ['/p/blog', '/p/blog/d/4f2c9ab1']) {
    it(`is told of on ${path}`, async () => {
      const live = aDeployment({ inProduction: true })
      open([gone], { 'GET /projects/p1/deployments/4f2c9ab1': live }, path)
      expect(await screen.findByText('The DNS records of www.example.com are gone.')).toBeVisible()
      expect(screen.getByRole('link', { name: 'See the records' })).toHaveAttribute(
        'href',
        '/p/blog/domains',
      )
    })
  }
})

describe('the other one', () => {
  it('is with www where this is without, and none of what is no name', () => {
    expect(otherHost('example.com')).toBe('www.example.com')
    expect(otherHost('www.example.com')).toBe('example.com')
    expect(otherHost('bücher.example')).toBe('www.bücher.example')
    for (const text of ['', 'example', 'example.', 'https://example.com', '*.example.com', 'a b']) {
      expect(otherHost(text)).toBeUndefined()
    }
  })
})
