import { useMutation, useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState, type FormEvent } from 'react'
import { Link, Navigate, useNavigate, useSearchParams } from 'react-router'

import { signIn } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queries, queryClient } from '@/api/queries'
import { paths, safeNext } from '@/paths'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'

import { AuthFrame } from './AuthFrame'

const SupabaseSignIn = lazy(() =>
  import('@/supabase/SignIn').then((module) => ({ default: module.SupabaseSignIn })),
)

export function Component() {
  const setup = useQuery(queries.setup())
  if (setup.isPending) return null
  if (setup.data?.supabase) {
    return (
      <Suspense>
        <SupabaseSignIn />
      </Suspense>
    )
  }
  return <SignIn />
}

function SignIn() {
  const navigate = useNavigate()
  const [search] = useSearchParams()
  const setup = useQuery(queries.setup())
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const login = useMutation({
    mutationFn: signIn,
    onSuccess: (me) => {
      queryClient.setQueryData(queries.me().queryKey, me)
      void navigate(safeNext(search.get('next')), { replace: true })
    },
  })
  const errors = fieldErrors(login.error, ['email', 'password'])

  if (setup.data?.needsSetup) return <Navigate replace to={paths.signup()} />
  const submit = (event: FormEvent) => {
    event.preventDefault()
    login.mutate({ email, password })
  }
  return (
    <AuthFrame
      title="Sign in"
      footer={
        setup.data?.signup === 'open' ? (
          <>
            No account?{' '}
            <Link className="link" to={paths.signup()}>
              Create one
            </Link>
          </>
        ) : (
          'Accounts are made by invitation.'
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
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          error={errors.of.password}
        />
        <FormError>{errors.form}</FormError>
        <Button type="submit" look="primary" pending={login.isPending}>
          Sign in
        </Button>
      </form>
    </AuthFrame>
  )
}
