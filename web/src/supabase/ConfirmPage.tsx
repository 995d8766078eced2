import { useEffect } from 'react'
import { Link, Navigate, useNavigate } from 'react-router'

import { isStatus, messageOf } from '@/api/error'
import { AuthFrame } from '@/auth/AuthFrame'
import { paths } from '@/paths'
import { Button } from '@/ui/Button'
import { FormError } from '@/ui/Field'

import type { Auth } from './client'
import { useReturned } from './useReturned'
import { WithSupabase } from './WithSupabase'

export function Component() {
  return <WithSupabase>{(auth) => <Confirm auth={auth} />}</WithSupabase>
}

// Confirm is where the link of a sign-up leads. Signing in is the next page's: it
// finds the Supabase session that this one has begun.
function Confirm({ auth }: { auth: Auth }) {
  const navigate = useNavigate()
  const back = useReturned(auth)
  const done = back.data === true
  useEffect(() => {
    if (done) void navigate(paths.login(), { replace: true })
  }, [done, navigate])
  if (back.data === false) return <Navigate replace to={paths.login()} />
  if (!back.error) return null
  // Whoever opens the link elsewhere has confirmed the address all the same.
  const elsewhere = isStatus(back.error, 410) && messageOf(back.error).includes('another browser')
  return (
    <AuthFrame
      title={elsewhere ? 'Your address is confirmed' : 'The link did not work'}
      text={
        elsewhere
          ? 'You have opened the link in another browser than you signed up in. Sign in here, or go on there.'
          : 'If your address is confirmed already, sign in. Else sign up again for a new link.'
      }
    >
      {!elsewhere && <FormError>{messageOf(back.error)}</FormError>}
      <Button look="primary" onClick={() => void navigate(paths.login())}>
        Sign in
      </Button>
      {!elsewhere && (
        <Link className="text-center link" to={paths.signup()}>
          Sign up again
        </Link>
      )}
    </AuthFrame>
  )
}
