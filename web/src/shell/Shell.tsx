import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useEffect, useState } from 'react'
import { Navigate, Outlet, ScrollRestoration, useLocation, useNavigation } from 'react-router'

import { isStatus } from '@/api/error'
import { live } from '@/api/live'
import { queries, queryClient } from '@/api/queries'
import { whenSignedOut } from '@/api/client'
import { paths } from '@/paths'
import { keepSession } from '@/supabase/keepSession'
import { Failed } from '@/ui/Loaded'
import { Toasts } from '@/ui/toast'

import { CommandsProvider } from './commands'
import { Notices } from './Notices'
import { PageTitle } from './PageTitle'
import { PaletteHost } from './Palette'
import { Rail } from './Rail'
import { TopBar } from './TopBar'

const SignInAgain = lazy(() =>
  import('@/supabase/SignInAgain').then((module) => ({ default: module.SignInAgain })),
)

// Shell is what surrounds every page of someone who is signed in.
export function Shell() {
  const me = useQuery(queries.me())
  const { pathname, search, hash } = useLocation()
  const signedIn = me.data !== undefined
  const endsAt = me.data?.sessionEndsAt
  const bySupabase = endsAt !== undefined
  const [ended, setEnded] = useState(false)

  useEffect(() => (signedIn ? live.start() : undefined), [signedIn])
  useEffect(() => (endsAt ? keepSession(endsAt, () => setEnded(true)) : undefined), [endsAt])
  useEffect(
    () =>
      whenSignedOut(() =>
        bySupabase ? setEnded(true) : void queryClient.resetQueries({ queryKey: ['me'] }),
      ),
    [bySupabase],
  )
  // Where Supabase signs people in, that is asked over the page.
  if (isStatus(me.error, 401) && !bySupabase) {
    const here = pathname + search + hash
    return <Navigate replace to={paths.login(here === '/' ? undefined : here)} />
  }
  // Said at once, though it may be tried again in a while.
  if (me.failureReason && !me.data) {
    return (
      <main className="page flex flex-col gap-6">
        <PageTitle title="Not available" />
        <Failed
          what="The dashboard could not be loaded."
          error={me.failureReason}
          retry={() => void me.refetch()}
        />
      </main>
    )
  }
  if (!me.data) return null
  return (
    <CommandsProvider>
      <a
        href="#main"
        className="sr-only z-50 rounded-md border border-line-strong bg-raised px-3 py-2 focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the content
      </a>
      <PageProgress />
      <div className="flex min-h-dvh flex-col">
        <TopBar user={me.data.user} />
        <Notices isolation={me.data.isolation} />
        <div className="flex min-h-0 grow">
          <Rail />
          <main
            id="main"
            tabIndex={-1}
            className="min-w-0 grow border-line pb-16 outline-none md:border-l md:pb-0"
          >
            <Outlet />
          </main>
        </div>
      </div>
      <PaletteHost />
      {ended && (
        <Suspense>
          <SignInAgain
            user={me.data.user}
            onSignedIn={() => setEnded(false)}
            onClose={() => setEnded(false)}
            onLeave={() => void queryClient.resetQueries({ queryKey: ['me'] })}
          />
        </Suspense>
      )}
      <Toasts />
      <ScrollRestoration getKey={(location) => location.pathname} />
    </CommandsProvider>
  )
}

// PageProgress is a line along the top while a page's code is on its way.
function PageProgress() {
  const busy = useNavigation().state === 'loading'
  if (!busy) return null
  return (
    <div
      role="progressbar"
      aria-label="Loading the page"
      className="fixed inset-x-0 top-0 z-50 h-0.5 animate-breathe bg-accent"
    />
  )
}
