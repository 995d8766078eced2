import { createBrowserRouter, type RouteObject } from 'react-router'

import { NotFoundPage, RouteError } from '@/shell/RouteError'
import { Shell } from '@/shell/Shell'

// Every page is a chunk of its own. A page exports Component, and a loader where
// what it shows can be asked for while its code is on the way.
export const routes: RouteObject[] = [
  { path: '/login', lazy: () => import('@/auth/SignInPage') },
  { path: '/signup', lazy: () => import('@/auth/SignUpPage') },
  { path: '/confirm', lazy: () => import('@/supabase/ConfirmPage') },
  { path: '/reset', lazy: () => import('@/supabase/ResetPage') },
  { path: '/new-password', lazy: () => import('@/supabase/NewPasswordPage') },
  {
    element: <Shell />,
    children: [
      {
        errorElement: <RouteError />,
        children: [
          { index: true, lazy: () => import('@/projects/ProjectsPage') },
          { path: '/new', lazy: () => import('@/projects/NewProjectPage') },
          { path: '/deployments', lazy: () => import('@/deployment/DeploymentsPage') },
          { path: '/account', lazy: () => import('@/account/AccountPage') },
          { path: '/system', lazy: () => import('@/system/SystemPage') },
          {
            path: '/p/:subDomain',
            lazy: () => import('@/project/ProjectLayout'),
            children: [
              { index: true, lazy: () => import('@/project/OverviewPage') },
              { path: 'd/:hostId', lazy: () => import('@/deployment/DeploymentPage') },
              { path: 'domains', lazy: () => import('@/domain/DomainsPage') },
              { path: 'env', lazy: () => import('@/project/EnvPage') },
              { path: 'explain', lazy: () => import('@/explain/ExplainPage') },
              { path: 'settings', lazy: () => import('@/project/SettingsPage') },
            ],
          },
          { path: '*', element: <NotFoundPage /> },
        ],
      },
    ],
  },
].map((route) => ({ hydrateFallbackElement: <></>, ...route }))

export const router = createBrowserRouter(routes, { basename: '/dashboard' })
