import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it } from 'vitest'

import type { Explanation } from '@/api/types'
import { Problem, serve } from '@/testing/api'
import { aProject } from '@/testing/fixtures'
import { me, openPage } from '@/testing/render'

import { addressOf } from './question'

function anExplanation(over: Partial<Explanation> = {}): Explanation {
  return {
    url: 'http://blog.localhost:8001/old',
    method: 'GET',
    acceptEncoding: 'gzip, br',
    status: 301,
    answer: '301 to /new',
    location: '/new',
    projectId: 'p1',
    project: 'blog',
    steps: [
      { step: 'host', text: 'blog.localhost is the production host of blog', lines: [] },
      {
        step: 'route',
        text: 'Leads to the deployment 4f2c9ab1',
        lines: [],
        warning: 'Not published yet: the database leads the host to another.',
      },
      {
        step: 'rule',
        text: "/old is this rule's path",
        lines: [{ file: '_redirects', line: 3, text: '/old /new 301' }],
        decides: true,
      },
    ],
    headers: [
      { name: 'Location', values: ['/new'], lines: [] },
      {
        name: 'X-Frame-Options',
        values: ['DENY'],
        lines: [{ file: '_headers', line: 2, text: 'X-Frame-Options: DENY' }],
      },
      {
        name: 'X-Content-Type-Options',
        values: [],
        lines: [{ file: '_headers', line: 5, text: '! X-Content-Type-Options' }],
      },
    ],
    cache: { state: 'memory', text: 'the edge has it in memory' },
    ...over,
  }
}

function open(path: string, explain: object) {
  const asked: URL[] = []
  serve({
    'GET /auth/me': me,
    'GET /projects': { items: [aProject()] },
    'GET /projects/blog': aProject(),
    'GET /explain': (_: unknown, url: URL) => {
      asked.push(url)
      return explain
    },
  })
  return { asked, router: openPage(path) }
}

describe('the explanation of an address', () => {
  it('shows an example before anything is asked', async () => {
    const { asked } = open('/p/blog/explain', anExplanation())
    await screen.findByText('mini-vercel explain http://blog.localhost:8001/old/page')
    expect(asked).toHaveLength(0)
  })

  it('takes a path of the project and keeps the question in the address', async () => {
    const { asked, router } = open('/p/blog/explain', anExplanation())
    await userEvent.type(await screen.findByLabelText('Address'), '/old')
    await userEvent.selectOptions(screen.getByLabelText('Method'), 'HEAD')
    await userEvent.selectOptions(screen.getByLabelText('Accept-Encoding'), 'gzip')
    await userEvent.click(screen.getByRole('button', { name: 'Explain' }))
    await screen.findByText('301 to /new')
    expect(Object.fromEntries(asked[0]?.searchParams ?? [])).toEqual({
      url: 'http://blog.localhost:8001/old',
      method: 'HEAD',
      acceptEncoding: 'gzip',
    })
    expect(new URLSearchParams(router.state.location.search).get('url')).toBe(
      'http://blog.localhost:8001/old',
    )
  })

  it('shows the chain with its lines, headers and cache', async () => {
    open('/p/blog/explain?url=http%3A%2F%2Fblog.localhost%3A8001%2Fold', anExplanation())
    const steps = within(await screen.findByRole('list', { name: 'Steps' }))
    const rule = within(steps.getAllByRole('listitem')[2] as HTMLElement)
    expect(rule.getByText('_redirects:3')).toBeVisible()
    expect(rule.getByText('/old /new 301')).toBeVisible()
    expect(rule.getByText('decides')).toBeVisible()
    expect(steps.getByText(/^Not published yet/)).toBeVisible()
    expect(steps.getByText('The edge has it in memory')).toBeVisible()
    const headers = within(screen.getByRole('list', { name: 'Headers' }))
    expect(headers.getByText('DENY')).toBeVisible()
    expect(headers.getByText('_headers:2')).toBeVisible()
    expect(headers.getByText('Removed')).toBeVisible()
  })

  it('names what goes before a page', async () => {
    const file = {
      path: '/index.html',
      deployment: '4f2c9ab1',
      contentType: 'text/html',
      encoding: 'br',
      size: 2048,
      sha256: 'ab'.repeat(32),
      immutable: false,
      encodings: ['br', 'identity'],
      earlyHints: ['</a.js>; rel=modulepreload'],
    }
    open('/p/blog/explain?url=x.localhost', anExplanation({ file }))
    await screen.findByText('</a.js>; rel=modulepreload')
    expect(screen.getByText('2 KiB in br, of br, identity')).toBeVisible()
  })

  it('asks again when asked for the same', async () => {
    const { asked } = open('/p/blog/explain?url=x.localhost', anExplanation())
    await screen.findByText('301 to /new')
    await userEvent.click(screen.getByRole('button', { name: 'Explain' }))
    await waitFor(() => expect(asked).toHaveLength(2))
  })

  it('says at the field what is wrong with the address, and above all what is not there', async () => {
    open(
      '/p/blog/explain?url=ftp%3A%2F%2Fx',
      new Problem(422, 'Some fields', [{ field: 'url', message: 'Give the address of a page' }]),
    )
    await screen.findByText('Give the address of a page.')
    expect(screen.getByLabelText('Address')).toHaveValue('ftp://x')
  })

  it('says that a host is not known, and keeps what was typed', async () => {
    open(
      '/p/blog/explain?url=none.localhost',
      new Problem(404, 'None of your projects answers at none.localhost.'),
    )
    await screen.findByText('None of your projects answers at none.localhost.')
    expect(screen.getByLabelText('Address')).toHaveValue('none.localhost')
  })

  it('is reached from the rail and from the palette', async () => {
    const { router } = open('/p/blog/settings', anExplanation())
    expect(await screen.findByRole('link', { name: 'Explain' })).toHaveAttribute(
      'href',
      '/p/blog/explain',
    )
    await screen.findByRole('heading', { name: 'Settings' })
    await userEvent.keyboard('{Control>}k{/Control}')
    await userEvent.type(await screen.findByRole('combobox', { name: /Search/ }), 'explain')
    await userEvent.keyboard('{Enter}')
    await waitFor(() => expect(router.state.location.pathname).toBe('/p/blog/explain'))
  })
})

describe('addressOf', () => {
  it('completes paths alone', () => {
    expect(addressOf(' /a?b ', 'http://x.localhost')).toBe('http://x.localhost/a?b')
    expect(addressOf('y.localhost/a', 'http://x.localhost')).toBe('y.localhost/a')
  })
})
