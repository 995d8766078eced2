import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearchParams } from 'react-router'

import { isStatus, messageOf } from '@/api/error'
import { queries, queryClient } from '@/api/queries'
import type { Me } from '@/api/types'
import { AuthFrame } from '@/auth/AuthFrame'
import { paths, safeNext } from '@/paths'
import { Button } from '@/ui/Button'
import { FormError } from '@/ui/Field'

import type { Auth } from './client'
import { leave } from './renew'
import { enter, hasTokens } from './session'
import { SignInForm } from './SignInForm'
import { WithSupabase } from './WithSupabase'

export function SupabaseSignIn() {
  return <WithSupabase>{(auth) => <SignIn auth={auth} />}</WithSupabase>
}

// SignIn goes on at once where this browser is signed in to Supabase already:
// the control plane's session ends with a token, Supabase's does not.
function SignIn({ auth }: { auth: Auth }) {
  const navigate = useNavigate()
  const [search] = useSearchParams()
  const onSignedIn = (me: Me) => {
    queryClient.setQueryData(queries.me().queryKey, me)
    queryClient.removeQueries({ queryKey: queries.setup().queryKey })
    void navigate(safeNext(search.get('next')), { replace: true })
  }
  const resumed = useQuery({
    queryKey: ['supabase', 'resume'],
    queryFn: async () => {
      if (!(await hasTokens(auth))) return null
      const me = await enter(auth)
      onSignedIn(me)
      return me
    },
    retry: false,
    gcTime: 0,
  })
  if (resumed.isPending || resumed.data) {
    return (
      <AuthFrame title="Sign in">
        <p role="status">Signing you in…</p>
      </AuthFrame>
    )
  }
  const refused = resumed.error && !isStatus(resumed.error, 401) ? resumed.error : undefined
  if (refused) {
    return (
      <AuthFrame title="Sign in">
        <FormError>{messageOf(refused)}</FormError>
        <Button look="primary" onClick={() => void resumed.refetch()} pending={resumed.isFetching}>
          Try again
        </Button>
        <Button onClick={() => void leave().finally(() => resumed.refetch())}>
          Sign in as somebody else
        </Button>
      </AuthFrame>
    )
  }
  return (
    <AuthFrame
      title="Sign in"
      footer={
        <>
          <Link className="link" to={paths.reset()}>
            Forgot your password?
          </Link>{' '}
          No account?{' '}
          <Link className="link" to={paths.signup()}>
            Create one
          </Link>
        </>
      }
    >
      <SignInForm auth={auth} onSignedIn={onSignedIn} />
    </AuthFrame>
  )
}
