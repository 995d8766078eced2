import { isStatus } from '@/api/error'
import { queries, queryClient } from '@/api/queries'

import { authClient, forgetTokens } from './client'
import { enter } from './session'

// renew prolongs the session by a new token of Supabase, and reports whether
// there was one: false says that one must sign in again. It fails where Supabase
// or the control plane does not answer. One tab at a time does it: the others
// then find the new token.
export async function renew(): Promise<boolean> {
  const { supabase } = await queryClient.fetchQuery(queries.setup())
  if (!supabase) return false
  const auth = await authClient(supabase)
  try {
    const me = await oneTab(() => enter(auth))
    const before = queryClient.getQueryData(queries.me().queryKey)
    // Another tab may have signed somebody else in; this page is not theirs.
    if (before && before.user.id !== me.user.id) location.reload()
    queryClient.setQueryData(queries.me().queryKey, me)
    return true
  } catch (error) {
    if (isStatus(error, 401)) return false
    throw error
  }
}

// oneTab does without where the browser has no locks, as over plain HTTP.
function oneTab<T>(work: () => Promise<T>): Promise<T> {
  const locks = navigator.locks as LockManager | undefined | null
  if (!locks) return work()
  return locks.request('mini-vercel.renew', async () => work()) as Promise<T>
}

// leave signs out of Supabase in this browser. An outage keeps nobody in.
export async function leave(): Promise<void> {
  const { supabase } = await queryClient.fetchQuery(queries.setup())
  if (!supabase) return
  const auth = await authClient(supabase)
  const patience = new Promise((resolve) => setTimeout(resolve, 3000))
  await Promise.race([auth.signOut({ scope: 'local' }), patience]).finally(forgetTokens)
}
