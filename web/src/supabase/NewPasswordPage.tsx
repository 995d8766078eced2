import { useMutation, useQuery } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { Link, Navigate, useNavigate } from 'react-router'

import { fieldErrors, messageOf } from '@/api/error'
import { queries, queryClient } from '@/api/queries'
import { AuthFrame } from '@/auth/AuthFrame'
import { paths } from '@/paths'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'
import { toast } from '@/ui/toast'

import type { Auth } from './client'
import { authError } from './error'
import { enter, hasTokens } from './session'
import { useReturned } from './useReturned'
import { WithSupabase } from './WithSupabase'

export function Component() {
  return <WithSupabase>{(auth) => <NewPassword auth={auth} />}</WithSupabase>
}

// NewPassword is where the link of a reset leads, and where someone who is
// signed in changes the password.
function NewPassword({ auth }: { auth: Auth }) {
  const back = useReturned(auth)
  const known = useQuery({
    queryKey: ['supabase', 'tokens'],
    queryFn: () => hasTokens(auth),
    enabled: back.isSuccess,
    gcTime: 0,
  })
  if (back.error) {
    return (
      <AuthFrame
        title="The link did not work"
        text="Ask for a new one, and open it in this browser."
      >
        <FormError>{messageOf(back.error)}</FormError>
        <Link className="text-center link" to={paths.reset()}>
          Ask for a new link
        </Link>
      </AuthFrame>
    )
  }
  if (known.data === undefined) return null
  return known.data ? <Form auth={auth} /> : <Navigate replace to={paths.reset()} />
}

function Form({ auth }: { auth: Auth }) {
  const navigate = useNavigate()
  const [password, setPassword] = useState('')
  const save = useMutation({
    mutationFn: async () => {
      const { error } = await auth.updateUser({ password })
      if (error) throw authError(error)
      return enter(auth, { endOthers: true })
    },
    onSuccess: async (me) => {
      queryClient.setQueryData(queries.me().queryKey, me)
      await navigate(paths.projects(), { replace: true })
      toast.done('Your password is changed. Whoever was signed in elsewhere is signed out.')
    },
  })
  const errors = fieldErrors(save.error, ['password'])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <AuthFrame
      title="Choose a new password"
      text="All other browsers are signed out."
      footer={
        <Link className="link" to={paths.projects()}>
          Keep the old one
        </Link>
      }
    >
      <form className="flex flex-col gap-4" onSubmit={submit}>
        <TextField
          label="New password"
          type="password"
          name="password"
          autoComplete="new-password"
          required
          autoFocus
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          error={errors.of.password}
        />
        <FormError>{errors.form}</FormError>
        <Button type="submit" look="primary" pending={save.isPending}>
          Save the password
        </Button>
      </form>
    </AuthFrame>
  )
}
