import { QueryClientProvider } from '@tanstack/react-query'
import { render } from '@testing-library/react'
import { createMemoryRouter, RouterProvider } from 'react-router'

import { queryClient } from '@/api/queries'
import { routes } from '@/router'
import { TooltipProvider } from '@/ui/Tooltip'

export const me = {
  user: {
    id: 'u1',
    email: 'ada@example.com',
    name: 'Ada',
    admin: true,
    createdAt: '2026-01-01T00:00:00Z',
  },
  scope: 'admin',
  signup: 'invite',
  isolation: { mode: 'bubblewrap', network: 'own', warnings: [] as string[] },
  needsSetup: false,
  baseDomain: 'localhost',
  siteURLPattern: '',
  version: 'test',
}

// openPage draws the dashboard at one of its addresses, as a browser would.
export function openPage(path: string) {
  const router = createMemoryRouter(routes, { initialEntries: [path] })
  render(
    <QueryClientProvider client={queryClient}>
      <TooltipProvider>
        <RouterProvider router={router} />
      </TooltipProvider>
    </QueryClientProvider>,
  )
  return router
}
