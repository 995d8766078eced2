import { act, fireEvent, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it } from 'vitest'

import { queryClient } from '@/api/queries'
import { Problem, serve } from '@/testing/api'
import { aProject } from '@/testing/fixtures'
import { me, openPage } from '@/testing/render'

import { rank } from './rank'

const projects = { items: [aProject(), aProject({ id: 'p2', name: 'Shop', subDomain: 'shop' })] }

describe('the palette', () => {
  it('goes to what is typed, by the keyboard alone', async () => {
    serve({
      'GET /auth/me': me,
      'GET /projects': projects,
      'GET /projects/shop': projects.items[1] ?? {},
      'GET /projects/p2/deployments': { items: [] },
    })
    const router = openPage('/')
    await screen.findByRole('heading', { name: 'Shop' })
    await userEvent.keyboard('{Control>}k{/Control}')
    const field = await screen.findByRole('combobox', { name: 'Search or jump to' })
    await userEvent.type(field, 'sho{Enter}')
    await waitFor(() => expect(router.state.location.pathname).toBe('/p/shop'))
    expect(screen.queryByRole('combobox', { name: 'Search or jump to' })).not.toBeInTheDocument()
  })

  it('offers what the page has buttons for', async () => {
    serve({ 'GET /auth/me': me, 'GET /tokens': { items: [] } })
    openPage('/account')
    await screen.findByRole('heading', { name: 'Account' })
    fireEvent.keyDown(window, { key: 'k', metaKey: true })
    await userEvent.click(await screen.findByRole('option', { name: /New API token/ }))
    await screen.findByRole('dialog', { name: 'New token' })
  })
})

describe('the theme', () => {
  it('is remembered where it is not the system’s', async () => {
    serve({ 'GET /auth/me': me, 'GET /projects': projects })
    openPage('/')
    const choose = async (name: RegExp) => {
      await userEvent.click(await screen.findByRole('button', { name: 'Account' }))
      await userEvent.click(await screen.findByRole('menuitem', { name }))
    }
    await choose(/^Dark/)
    expect(document.documentElement.dataset.theme).toBe('dark')
    expect(localStorage.getItem('mini-vercel:theme')).toBe('dark')
    await choose(/^As the system/)
    expect(document.documentElement.dataset.theme).toBeUndefined()
    expect(localStorage.getItem('mini-vercel:theme')).toBeNull()
  })
})

describe('a session that has ended', () => {
  it('leads to the sign-in, and back', async () => {
    let signedIn = true
    const refused = () => new Problem(401, 'not signed in')
    serve({
      'GET /auth/me': () => (signedIn ? me : refused()),
      'GET /auth/setup': { needsSetup: false, signup: 'invite' },
      'GET /projects': () => (signedIn ? projects : refused()),
    })
    const router = openPage('/?q=shop')
    await screen.findByRole('heading', { name: 'Shop' })
    signedIn = false
    await act(() => queryClient.invalidateQueries({ queryKey: ['projects'] }))
    await screen.findByRole('heading', { name: 'Sign in' })
    expect(router.state.location.search).toBe('?next=%2F%3Fq%3Dshop')
  })
})

describe('a control plane that does not answer', () => {
  it('is told of at once, and asked again', async () => {
    let answers = false
    serve({
      'GET /auth/me': () => (answers ? me : new Problem(503, 'the database does not answer')),
      'GET /projects': projects,
    })
    openPage('/')
    expect(await screen.findByRole('alert')).toHaveTextContent('The database does not answer.')
    answers = true
    await screen.findByRole('heading', { name: 'Shop' }, { timeout: 3000 })
  })
})

describe('rank', () => {
  const found = (query: string) =>
    rank(['Blog', 'Log viewer', 'Catalog', 'Dialogue'], query, String)
  it('puts what begins so first, then words, then parts, then letters in order', () => {
    expect(found('log')).toEqual(['Log viewer', 'Blog', 'Catalog', 'Dialogue'])
    expect(found('lv')).toEqual(['Log viewer'])
    expect(found('viewer log')).toEqual(['Log viewer'])
    expect(found('nothing')).toEqual([])
    expect(found('')).toHaveLength(4)
  })
})
