import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { client, renewBy, whenSignedOut } from '@/api/client'
import { Problem, serve } from '@/testing/api'
import { me as own, openPage } from '@/testing/render'

import { forgetTokens, storageKey } from './client'
import { authError } from './error'
import { keepSession } from './keepSession'
import { pendingCode, rememberCode } from './session'

const me = { ...own, sessionEndsAt: new Date(Date.now() + 3_600_000).toISOString() }
const project = { url: 'https://abc.supabase.co', anonKey: 'sb_publishable_x' }
const setup = { needsSetup: false, signup: 'invite', supabase: project }

// supabase answers as GoTrue does, beside the control plane: supabase-js is the
// real one.
const session = (token: string, seconds = 3600) => ({
  access_token: token,
  refresh_token: `refresh-${token}`,
  token_type: 'bearer',
  expires_in: seconds,
  expires_at: Math.round(Date.now() / 1000) + seconds,
  user: { id: 's1', email: 'ada@example.com' },
})
const refusal = (status: number, code: string, message = code) =>
  Object.assign(new Problem(status, message), { body: { error_code: code, msg: message } })

function both(routes: Record<string, unknown>) {
  const asked = serve(routes as Record<string, object>)
  const inner = globalThis.fetch
  // supabase-js calls with an address and options.
  vi.stubGlobal('fetch', (request: Request | string, options?: RequestInit) =>
    inner(request instanceof Request ? request : new Request(request, options)),
  )
  return asked
}

const stored = () => localStorage.getItem(storageKey)
const keep = (token: string, seconds?: number) =>
  localStorage.setItem(storageKey, JSON.stringify(session(token, seconds)))

const signIn = async (password = 'correct horse') => {
  await userEvent.type(await screen.findByLabelText('Email'), 'ada@example.com')
  await userEvent.type(screen.getByLabelText('Password'), password)
  await userEvent.click(screen.getByRole('button', { name: 'Sign in' }))
}

describe('signing in by Supabase', () => {
  it('gives the token to the control plane, and leads back', async () => {
    let signedIn = false
    const asked = both({
      'GET /auth/me': () => (signedIn ? me : new Problem(401, 'not signed in')),
      'GET /auth/setup': setup,
      'POST /auth/v1/token': session('t1'),
      'POST /auth/session': () => {
        signedIn = true
        return me
      },
      'GET /tokens': { items: [] },
    })
    const router = openPage('/account')
    await signIn()
    await screen.findByRole('heading', { name: 'Account' })
    expect(router.state.location.pathname).toBe('/account')
    expect(asked.find(({ path }) => path === '/auth/session')?.body).toEqual({ token: 't1' })
    expect(screen.getByRole('link', { name: 'Change the password' })).toBeInTheDocument()
    expect(asked.some(({ path }) => path === '/auth/login')).toBe(false)
  })

  it('goes on where this browser has a token', async () => {
    keep('t2')
    both({
      'GET /auth/me': () => new Problem(401, 'not signed in'),
      'GET /auth/setup': setup,
      'POST /auth/session': me,
      'GET /tokens': { items: [] },
    })
    openPage('/account')
    await screen.findByRole('heading', { name: 'Account' })
  })

  it('gets a new token where the control plane does not take this one', async () => {
    keep('old')
    const asked = both({
      'GET /auth/me': () => new Problem(401, 'not signed in'),
      'GET /auth/setup': setup,
      'POST /auth/v1/token': session('new'),
      'POST /auth/session': (body: { token: string }) =>
        body.token === 'new' ? me : new Problem(401, 'not valid any more'),
      'GET /tokens': { items: [] },
    })
    openPage('/account')
    await screen.findByRole('heading', { name: 'Account' })
    expect(asked.filter(({ path }) => path === '/auth/session')).toHaveLength(2)
  })

  it('says who has no account, and lets them be somebody else', async () => {
    keep('t3')
    both({
      'GET /auth/setup': setup,
      'POST /auth/session': () => new Problem(403, 'ada@example.com has no account here'),
      'POST /auth/v1/logout': undefined,
    })
    openPage('/login')
    expect(await screen.findByRole('alert')).toHaveTextContent('has no account here')
    await userEvent.click(screen.getByRole('button', { name: 'Sign in as somebody else' }))
    await screen.findByLabelText('Email')
    expect(stored()).toBeNull()
  })

  it('says what Supabase refuses at the field', async () => {
    both({
      'GET /auth/setup': setup,
      'POST /auth/v1/token': () => refusal(400, 'email_not_confirmed'),
    })
    openPage('/login')
    await signIn()
    await waitFor(() => expect(screen.getByLabelText('Email')).toBeInvalid())
    expect(screen.getByLabelText('Email')).toHaveAccessibleDescription(/not confirmed yet/)
  })
})

describe('signing up by Supabase', () => {
  it('keeps the code of the link until it is used', async () => {
    const asked = both({
      'GET /auth/setup': { ...setup, needsSetup: true },
      'POST /auth/v1/signup': { id: 's1', email: 'ada@example.com', identities: [] },
    })
    openPage('/signup#code=ABCD')
    await screen.findByRole('heading', { name: 'Create the first account' })
    expect(screen.queryByLabelText('Setup code')).not.toBeInTheDocument()
    await userEvent.type(screen.getByLabelText('Email'), 'ada@example.com')
    await userEvent.type(screen.getByLabelText('Password'), 'correct horse')
    await userEvent.click(screen.getByRole('button', { name: 'Create account' }))
    await screen.findByRole('heading', { name: 'Confirm your address' })
    expect(pendingCode()).toBe('ABCD')
    await userEvent.click(screen.getByRole('button', { name: 'Send it again' }))
    expect(await screen.findByText('It was sent again.')).toBeInTheDocument()
    expect(asked.filter(({ path }) => path === '/auth/v1/signup')).toHaveLength(2)
    // Ours is none of Supabase's business.
    expect(JSON.stringify(asked.filter(({ path }) => path.startsWith('/auth/v1')))).not.toContain(
      'ABCD',
    )
  })

  it('forgets a code that was refused', async () => {
    rememberCode('OLD')
    keep('t4')
    both({
      'GET /auth/setup': setup,
      'POST /auth/session': () =>
        new Problem(422, 'An invitation is needed', [{ field: 'code', message: 'is used up' }]),
    })
    openPage('/login')
    await screen.findByRole('button', { name: 'Sign in as somebody else' })
    expect(pendingCode()).toBe('')
  })
})

describe('the pages of mails', () => {
  it('lead to the sign-in where people have passwords here', async () => {
    for (const path of ['/reset', '/confirm', '/new-password']) {
      both({ 'GET /auth/setup': { needsSetup: false, signup: 'invite' } })
      const router = openPage(path)
      await waitFor(() => expect(router.state.location.pathname).toBe('/login'))
    }
  })

  it('say that a link was asked for in another browser', async () => {
    both({ 'GET /auth/setup': setup })
    const router = openPage('/new-password?code=c0de')
    await screen.findByText(/asked for in another browser/)
    expect(router.state.location.search).toBe('')
  })

  it('say that a link is no longer good', async () => {
    both({ 'GET /auth/setup': setup })
    openPage('/confirm?error=access_denied&error_code=otp_expired')
    await screen.findByRole('heading', { name: 'The link did not work' })
  })
})

describe('a call that finds the session ended', () => {
  beforeEach(() => keep('t5'))

  it('is made again, with its body, when the session is renewed', async () => {
    const answers = [new Problem(401, 'ended'), { token: 'mv_x', id: 'k1' }]
    const asked = both({ 'POST /tokens': () => answers.shift() })
    const stop = renewBy(() => Promise.resolve(true))
    const body = { name: 'ci', scope: 'read' } as const
    const { data } = await client.POST('/tokens', { body })
    stop()
    expect(data).toMatchObject({ token: 'mv_x' })
    expect(asked.map((call) => call.body)).toEqual([body, body])
  })

  it('says so once where it is not', async () => {
    both({ 'GET /tokens': () => new Problem(401, 'ended') })
    const told = vi.fn()
    const stops = [renewBy(() => Promise.resolve(false)), whenSignedOut(told)]
    await expect(client.GET('/tokens')).rejects.toMatchObject({ status: 401 })
    for (const stop of stops) stop()
    expect(told).toHaveBeenCalledTimes(1)
  })

  it('leaves what was typed, and asks over the page', async () => {
    let ended = false
    both({
      'GET /auth/me': me,
      'GET /auth/setup': setup,
      'GET /tokens': { items: [] },
      'POST /tokens': () =>
        ended
          ? new Problem(401, 'ended')
          : { token: 'mv_new', id: 'k1', name: 'ci', scope: 'read' },
      'POST /auth/session': () => (ended ? new Problem(401, 'ended') : me),
      'POST /auth/v1/token': (body: { password?: string }) => {
        if (!body.password) return refusal(400, 'refresh_token_not_found')
        ended = false
        return session('t6')
      },
    })
    openPage('/account')
    await userEvent.click(await screen.findByRole('button', { name: 'New token' }))
    await userEvent.type(screen.getByLabelText('Name'), 'ci')
    ended = true
    await userEvent.click(screen.getByRole('button', { name: 'Create token' }))
    await screen.findByRole('dialog', { name: 'Sign in again' })
    expect(screen.getByLabelText('Email')).toHaveValue('ada@example.com')
    await userEvent.type(screen.getByLabelText('Password'), 'correct horse')
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    await waitFor(() =>
      expect(screen.queryByRole('dialog', { name: 'Sign in again' })).not.toBeInTheDocument(),
    )
    expect(screen.getByLabelText('Name')).toHaveValue('ci')
    await userEvent.click(screen.getByRole('button', { name: 'Create token' }))
    await screen.findByText('mv_new')
  })
})

describe('a session', () => {
  afterEach(() => vi.useRealTimers())

  it('is prolonged before it ends', async () => {
    keep('t7', 60) // about to end
    const asked = both({
      'GET /auth/setup': setup,
      'POST /auth/v1/token': session('t8'),
      'POST /auth/session': me,
    })
    vi.useFakeTimers({ shouldAdvanceTime: true })
    const ended = vi.fn()
    const stop = keepSession(new Date(Date.now() + 600_000).toISOString(), ended)
    await vi.advanceTimersByTimeAsync(490_000)
    expect(asked).toEqual([])
    await vi.advanceTimersByTimeAsync(10_000)
    await vi.waitFor(() =>
      expect(asked.find(({ path }) => path === '/auth/session')?.body).toEqual({ token: 't8' }),
    )
    stop()
    expect(ended).not.toHaveBeenCalled()
  })

  it('that can’t be prolonged is told', async () => {
    forgetTokens()
    both({ 'GET /auth/setup': setup })
    vi.useFakeTimers({ shouldAdvanceTime: true })
    const ended = vi.fn()
    const stop = keepSession(new Date(Date.now() + 1000).toISOString(), ended)
    await vi.advanceTimersByTimeAsync(15_000)
    await vi.waitFor(() => expect(ended).toHaveBeenCalledTimes(1))
    stop()
  })
})

describe('what Supabase refuses', () => {
  it.each([
    ['weak_password', 'Password should be longer', 422, 'password'],
    ['email_exists', 'x', 422, 'email'],
    ['over_email_send_rate_limit', 'x', 429, undefined],
    ['session_not_found', 'x', 401, undefined],
    ['otp_expired', 'x', 410, undefined],
    ['something_new', 'What it says', 418, undefined],
  ])('%s is told in the page’s form', (code, message, status, field) => {
    const error = authError({ code, message, status: 418, name: 'AuthApiError' } as never)
    expect(error.status).toBe(status)
    expect(error.fields.map((problem) => problem.field)).toEqual(field ? [field] : [])
  })
})
