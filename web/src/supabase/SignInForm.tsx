import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { ApiError, fieldErrors } from '@/api/error'
import type { Me } from '@/api/types'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'

import type { Auth } from './client'
import { authError } from './error'
import { enter } from './session'

type SignInFormProps = {
  auth: Auth
  email?: string
  onSignedIn: (me: Me) => void
}

// SignInForm signs in to Supabase, and by that to the control plane.
export function SignInForm({ auth, email: known = '', onSignedIn }: SignInFormProps) {
  const [email, setEmail] = useState(known)
  const [password, setPassword] = useState('')
  const login = useMutation({
    mutationFn: async () => {
      const { error } = await auth.signInWithPassword({ email: email.trim(), password })
      if (error) throw authError(error)
      return enter(auth)
    },
    onSuccess: onSignedIn,
  })
  const errors = fieldErrors(login.error, ['email', 'password'])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    login.mutate()
  }
  return (
    <form className="flex flex-col gap-4" onSubmit={submit}>
      <TextField
        label="Email"
        type="email"
        name="email"
        autoComplete="username"
        required
        autoFocus={known === ''}
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
        autoFocus={known !== ''}
        value={password}
        onChange={(event) => setPassword(event.target.value)}
        error={errors.of.password}
      />
      <FormError>{codeError(login.error) ?? errors.form}</FormError>
      <Button type="submit" look="primary" pending={login.isPending}>
        Sign in
      </Button>
    </form>
  )
}

// codeError is what was wrong with a code that was given on another page.
export function codeError(error: unknown): string | undefined {
  return error instanceof ApiError && error.field('code') ? error.message : undefined
}
