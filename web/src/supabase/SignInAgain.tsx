import { useQuery } from '@tanstack/react-query'

import { live } from '@/api/live'
import { queries, queryClient } from '@/api/queries'
import type { Me, User } from '@/api/types'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { FormError } from '@/ui/Field'

import { authClient } from './client'
import { SignInForm } from './SignInForm'

type SignInAgainProps = {
  user: User
  onSignedIn: () => void
  onClose: () => void
  onLeave: () => void
}

// SignInAgain stands over a page whose sign-in has ended, and leaves what was
// typed there as it is.
export function SignInAgain({ user, onSignedIn, onClose, onLeave }: SignInAgainProps) {
  const auth = useQuery({
    queryKey: ['supabase', 'again'],
    queryFn: async () => {
      const { supabase } = await queryClient.fetchQuery(queries.setup())
      return supabase ? authClient(supabase) : null
    },
  })
  const done = (me: Me) => {
    if (me.user.id !== user.id) {
      // What is on the page is somebody else's.
      location.assign('/dashboard/')
      return
    }
    queryClient.setQueryData(queries.me().queryKey, me)
    live.retry()
    void queryClient.invalidateQueries()
    onSignedIn()
  }
  // A dialog that opens without its fields has nothing to give the focus to.
  if (auth.isPending) return null
  return (
    <Dialog
      title="Sign in again"
      onClose={onClose}
      footer={<Button onClick={onLeave}>Leave this page</Button>}
    >
      <p>Your sign-in has ended. What is on this page stays as it is.</p>
      {auth.data && <SignInForm auth={auth.data} email={user.email} onSignedIn={done} />}
      <FormError>{auth.error && 'The sign-in could not be loaded. Reload the page.'}</FormError>
    </Dialog>
  )
}
