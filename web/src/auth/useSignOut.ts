import { useNavigate } from 'react-router'

import { signOut } from '@/api/calls'
import { queries, queryClient } from '@/api/queries'
import { paths } from '@/paths'
import { toast } from '@/ui/toast'

// useSignOut ends the session and forgets everything that it has shown.
export function useSignOut(): () => void {
  const navigate = useNavigate()
  return () =>
    void signOut().then(async () => {
      if (queryClient.getQueryData(queries.me().queryKey)?.sessionEndsAt) {
        const { leave } = await import('@/supabase/renew')
        await leave().catch(() => undefined)
      }
      await navigate(paths.login())
      queryClient.clear()
    }, toast.failed)
}
