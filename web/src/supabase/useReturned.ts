import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { useLocation, useNavigate } from 'react-router'

import { ApiError } from '@/api/error'

import type { Auth } from './client'
import { authError } from './error'
import { returned } from './returnAddress'

// useReturned exchanges the code that a mail's link came back with for a
// Supabase session, once, and takes it out of the address. Its data is whether
// there was a code.
export function useReturned(auth: Auth) {
  const navigate = useNavigate()
  const { search, pathname } = useLocation()
  const [back] = useState(() => returned(new URLSearchParams(search)))
  useEffect(() => {
    if (search !== '') void navigate(pathname, { replace: true })
  }, [navigate, pathname, search])
  return useQuery({
    queryKey: ['supabase', 'returned', back.code],
    queryFn: async () => {
      if (back.error) throw new ApiError(410, back.error)
      if (back.code === '') return false
      const { error } = await auth.exchangeCodeForSession(back.code)
      if (error) throw authError(error)
      return true
    },
    retry: false,
    staleTime: Infinity,
  })
}
