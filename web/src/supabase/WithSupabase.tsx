import { skipToken, useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Navigate } from 'react-router'

import { queries } from '@/api/queries'
import { AuthFrame } from '@/auth/AuthFrame'
import { paths } from '@/paths'
import { Failed } from '@/ui/Loaded'

import { authClient, type Auth } from './client'

// WithSupabase is a page that needs supabase-js. Where people have passwords
// here instead, it leads to where they sign in.
export function WithSupabase({ children }: { children: (auth: Auth) => ReactNode }) {
  const setup = useQuery(queries.setup())
  const project = setup.data?.supabase
  const auth = useQuery({
    queryKey: ['supabase', project?.url],
    queryFn: project ? () => authClient(project) : skipToken,
    staleTime: Infinity,
  })
  if (setup.data && !project) return <Navigate replace to={paths.login()} />
  const error = setup.error ?? auth.error
  if (error) {
    return (
      <AuthFrame title="Not available">
        <Failed
          what="The sign-in could not be loaded."
          error={error}
          retry={() => void (setup.error ? setup.refetch() : auth.refetch())}
        />
      </AuthFrame>
    )
  }
  return auth.data ? children(auth.data) : null
}
