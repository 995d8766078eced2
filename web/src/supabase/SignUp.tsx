import { useMutation, useQuery } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { Link, useNavigate } from 'react-router'

import { fieldErrors } from '@/api/error'
import { queries, queryClient } from '@/api/queries'
import { AuthFrame } from '@/auth/AuthFrame'
import { paths } from '@/paths'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'

import type { Auth } from './client'
import { authError } from './error'
import { enter, pendingCode, rememberCode } from './session'
import { returnAddress } from './returnAddress'
import { WithSupabase } from './WithSupabase'

export function SupabaseSignUp({ code }: { code: string }) {
  return <WithSupabase>{(auth) => <SignUp auth={auth} given={code} />}</WithSupabase>
}

function SignUp({ auth, given }: { auth: Auth; given: string }) {
  const navigate = useNavigate()
  const setup = useQuery(queries.setup())
  const first = setup.data?.needsSetup ?? false
  const [code, setCode] = useState(() => {
    rememberCode(given)
    return given || pendingCode()
  })
  const [hadCode, setHadCode] = useState(code !== '')
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const [mailed, setMailed] = useState(false)
  const create = useMutation({
    mutationFn: async () => {
      rememberCode(code)
      const { data, error } = await auth.signUp({
        email: email.trim(),
        password,
        options: { emailRedirectTo: returnAddress('confirm') },
      })
      if (error) throw authError(error)
      return data.session ? enter(auth) : null
    },
    onSuccess: (me) => {
      if (!me) {
        setMailed(true)
        return
      }
      queryClient.setQueryData(queries.me().queryKey, me)
      queryClient.removeQueries({ queryKey: queries.setup().queryKey })
      void navigate(paths.projects(), { replace: true })
    },
    onError: (error) => {
      if (fieldErrors(error, ['code']).of.code) setHadCode(false)
    },
  })
  const errors = fieldErrors(create.error, ['email', 'password', 'code'])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate()
  }
  if (mailed) {
    return <MailSent email={email} again={() => create.mutateAsync()} />
  }
  return (
    <AuthFrame
      title={first ? 'Create the first account' : 'Create your account'}
      text={first ? 'It owns this installation and everything deployed so far.' : undefined}
      footer={
        <>
          {'You have a Supabase account for this? '}
          <Link className="link" to={paths.login()} onClick={() => rememberCode(code)}>
            Sign in
          </Link>
        </>
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
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          error={errors.of.password}
        />
        {(first || setup.data?.signup === 'invite') && !hadCode && (
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

// MailSent says what to do next. Whether the address had an account already,
// Supabase tells nobody but its owner.
function MailSent({ email, again }: { email: string; again: () => Promise<unknown> }) {
  const resend = useMutation({ mutationFn: again })
  return (
    <AuthFrame
      title="Confirm your address"
      text={
        <>
          A link is on its way to <strong className="font-medium text-ink">{email}</strong>. Open it
          in this browser to go on.
        </>
      }
      footer={
        <>
          {'You have an account with this address? '}
          <Link className="link" to={paths.login()}>
            Sign in
          </Link>
        </>
      }
    >
      {resend.isSuccess && <p role="status">It was sent again.</p>}
      <FormError>{fieldErrors(resend.error, []).form}</FormError>
      <Button onClick={() => resend.mutate()} pending={resend.isPending}>
        Send it again
      </Button>
    </AuthFrame>
  )
}
