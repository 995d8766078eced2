import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it } from 'vitest'

import { Problem, serve } from '@/testing/api'
import { me, openPage } from '@/testing/render'

const signedOut = { 'GET /auth/me': () => new Problem(401, 'not signed in') }

describe('signing up', () => {
  it('takes the code from the link, and asks for email and password only', async () => {
    const asked = serve({
      ...signedOut,
      'GET /auth/setup': { needsSetup: true, signup: 'invite' },
      'POST /auth/signup': me,
      'GET /projects': { items: [] },
    })
    const router = openPage('/signup#code=ABCD')
    await screen.findByRole('heading', { name: 'Create the first account' })
    expect(screen.queryByLabelText('Setup code')).not.toBeInTheDocument()
    await userEvent.type(screen.getByLabelText('Email'), 'ada@example.com')
    await userEvent.type(screen.getByLabelText('Password'), 'correct horse')
    await userEvent.click(screen.getByRole('button', { name: 'Create account' }))
    await waitFor(() => expect(router.state.location.pathname).toBe('/'))
    expect(asked.find(({ path }) => path === '/auth/signup')?.body).toEqual({
      email: 'ada@example.com',
      password: 'correct horse',
      code: 'ABCD',
    })
  })

  it('asks for the code again where it was refused, and says so at the field', async () => {
    serve({
      ...signedOut,
      'GET /auth/setup': { needsSetup: true, signup: 'invite' },
      'POST /auth/signup': () =>
        new Problem(422, 'invalid', [{ field: 'code', message: 'is not the code' }]),
    })
    openPage('/signup#code=OLD')
    await userEvent.type(await screen.findByLabelText('Email'), 'ada@example.com')
    await userEvent.type(screen.getByLabelText('Password'), 'correct horse')
    await userEvent.click(screen.getByRole('button', { name: 'Create account' }))
    const code = await screen.findByLabelText('Setup code')
    expect(code).toHaveAccessibleDescription('Is not the code.')
    expect(code).toBeInvalid()
  })
})

describe('signing in', () => {
  it('comes first, and leads back to where one wanted to go', async () => {
    serve({
      'GET /auth/me': () => new Problem(401, 'not signed in'),
      'GET /auth/setup': { needsSetup: false, signup: 'invite' },
      'POST /auth/login': me,
      'GET /tokens': { items: [] },
    })
    const router = openPage('/account')
    await screen.findByRole('heading', { name: 'Sign in' })
    await userEvent.type(screen.getByLabelText('Email'), 'ada@example.com')
    await userEvent.type(screen.getByLabelText('Password'), 'correct horse')
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    await screen.findByRole('heading', { name: 'Account' })
    expect(router.state.location.pathname).toBe('/account')
  })

  it('says what is wrong', async () => {
    serve({
      ...signedOut,
      'GET /auth/setup': { needsSetup: false, signup: 'invite' },
      'POST /auth/login': () => new Problem(401, 'email or password are wrong'),
    })
    openPage('/login')
    await userEvent.type(await screen.findByLabelText('Email'), 'ada@example.com')
    await userEvent.type(screen.getByLabelText('Password'), 'wrong horse')
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    expect(await screen.findByRole('alert')).toHaveTextContent('Email or password are wrong.')
  })

  it('leads to the first account where there is none', async () => {
    serve({ ...signedOut, 'GET /auth/setup': { needsSetup: true, signup: 'invite' } })
    openPage('/')
    await screen.findByRole('heading', { name: 'Create the first account' })
  })
})
