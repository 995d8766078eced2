import { useMutation, useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState, type FormEvent } from 'react'
import { Link, useLocation, useNavigate } from 'react-router'

import { signUp } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queries, queryClient } from '@/api/queries'
import { paths } from '@/paths'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'

import { AuthFrame } from './AuthFrame'

// The code stands behind the # of the printed link: that part of an address
// never leaves the browser, so no log holds it.
function codeOf(hash: string): string {
  return new URLSearchParams(hash.slice(1)).get('code') ?? ''
}

const SupabaseSignUp = lazy(() =>
  import('@/supabase/SignUp').then((module) => ({ default: module.SupabaseSignUp })),
)

export function Component() {
  const { hash } = useLocation()
  const setup = useQuery(queries.setup())
  if (setup.isPending) return null
  if (setup.data?.supabase) {
    return (
      <Suspense>
        <SupabaseSignUp code={codeOf(hash)} />
      </Suspense>
    )
  }
  return <SignUp />
}

function SignUp() {
  const navigate = useNavigate()
  const { hash } = useLocation()
  const setup = useQuery(queries.setup())
  const first = setup.data?.needsSetup ?? false
  const [code, setCode] = useState(() => codeOf(hash))
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const create = useMutation({
    mutationFn: signUp,
    onSuccess: (me) => {
      queryClient.setQueryData(queries.me().queryKey, me)
      queryClient.removeQueries({ queryKey: queries.setup().queryKey })
      void navigate(paths.projects(), { replace: true })
    },
  })
  const errors = fieldErrors(create.error, ['email', 'password', 'code'])
  const codeGiven = codeOf(hash) !== '' && !errors.of.code
  const needsCode = first || setup.data?.signup === 'invite'

  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate({ email, password, ...(code === '' ? {} : { code: code.trim() }) })
  }
  return (
    <AuthFrame
      title={first ? 'Create the first account' : 'Create your account'}
      text={first ? 'It owns this installation and everything deployed so far.' : undefined}
      footer={
        !first && (
          <>
            You have one?{' '}
            <Link className="link" to={paths.login()}>
              Sign in
            </Link>
          </>
        )
      }
    >
      <form className="flex flex-col gap-4" onSubmit={submit}>
        <TextField
          label="Email"
          type="email"
          name="email"
          autoComplete="username"
          required
          autoFocus
          value={email}
          onChange={(event) => setEmail(event.target.value)}
          error={errors.of.email}
        />
        <TextField
          label="Password"
          type="password"
          name="password"
          autoComplete="new-password"
          required
          minLength={8}
          hint="At least 8 characters."
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          error={errors.of.password}
        />
        {needsCode && !codeGiven && (
          <TextField
            label={first ? 'Setup code' : 'Invitation code'}
            name="code"
            required
            mono
            autoComplete="off"
            spellCheck={false}
            hint={
              first
                ? 'It is in the link that mini-vercel printed when it started.'
                : 'It is in the link of your invitation.'
            }
            value={code}
            onChange={(event) => setCode(event.target.value)}
            error={errors.of.code}
          />
        )}
        <FormError>{errors.form}</FormError>
        <Button type="submit" look="primary" pending={create.isPending}>
          Create account
        </Button>
      </form>
    </AuthFrame>
  )
}
