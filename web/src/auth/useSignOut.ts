import { useNavigate } from 'react-router'

import { signOut } from '@/api/calls'
import { queryClient } from '@/api/queries'
import { paths } from '@/paths'
import { toast } from '@/ui/toast'

// useSignOut ends the session and forgets everything that it has shown.
export function useSignOut(): () => void {
  const navigate = useNavigate()
  return () =>
    void signOut().then(async () => {
      await navigate(paths.login())
      queryClient.clear()
    }, toast.failed)
}
