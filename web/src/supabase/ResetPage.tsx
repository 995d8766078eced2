import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { Link } from 'react-router'

import { fieldErrors } from '@/api/error'
import { AuthFrame } from '@/auth/AuthFrame'
import { paths } from '@/paths'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'

import type { Auth } from './client'
import { authError } from './error'
import { returnAddress } from './returnAddress'
import { WithSupabase } from './WithSupabase'

export function Component() {
  return <WithSupabase>{(auth) => <Reset auth={auth} />}</WithSupabase>
}

// Reset asks for a mail by which one chooses a new password.
function Reset({ auth }: { auth: Auth }) {
  const [email, setEmail] = useState('')
  const ask = useMutation({
    mutationFn: async () => {
      const { error } = await auth.resetPasswordForEmail(email.trim(), {
        redirectTo: returnAddress('newPassword'),
      })
      if (error) throw authError(error)
    },
  })
  const errors = fieldErrors(ask.error, ['email'])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    ask.mutate()
  }
  const back = (
    <Link className="link" to={paths.login()}>
      Back to sign in
    </Link>
  )
  if (ask.isSuccess) {
    return (
      <AuthFrame
        title="Look into your mail"
        text={
          <>
            If <strong className="font-medium text-ink">{email}</strong> has an account, a link to
            choose a new password is on its way to it. Open it in this browser.
          </>
        }
        footer={back}
      >
        <Button onClick={() => ask.reset()}>Use another address</Button>
      </AuthFrame>
    )
  }
  return (
    <AuthFrame
      title="Forgot your password?"
      text="You get a link by mail to choose a new one."
      footer={back}
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
        <FormError>{errors.form}</FormError>
        <Button type="submit" look="primary" pending={ask.isPending}>
          Send the link
        </Button>
      </form>
    </AuthFrame>
  )
}
