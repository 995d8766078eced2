import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'

import { queries, queryClient } from '@/api/queries'
import { useSignOut } from '@/auth/useSignOut'
import { paths } from '@/paths'
import { useCommands } from '@/shell/commands'
import { PageTitle, Section } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { Loaded, SkeletonRows } from '@/ui/Loaded'

import { Invite } from './Invite'
import { NewTokenDialog } from './NewTokenDialog'
import { TokenRow } from './TokenRow'

export function loader() {
  void queryClient.prefetchQuery(queries.tokens())
  return null
}

export function Component() {
  const me = useQuery(queries.me())
  const tokens = useQuery(queries.tokens())
  const signOut = useSignOut()
  const [creating, setCreating] = useState(false)
  const user = me.data?.user
  const create = () => setCreating(true)
  useCommands([{ id: 'new-token', label: 'New API token', run: create }])
  return (
    <div className="page flex narrow flex-col gap-8">
      <PageTitle title="Account">
        <Button onClick={signOut}>Sign out</Button>
      </PageTitle>
      {user && (
        <dl className="grid gap-4 card p-5 sm:grid-cols-2">
          <div>
            <dt className="text-sm text-ink-3">Email</dt>
            <dd className="break-words">{user.email || 'None yet'}</dd>
          </div>
          <div>
            <dt className="text-sm text-ink-3">Role</dt>
            <dd>{user.admin ? 'Administrator' : 'Member'}</dd>
          </div>
          {me.data?.sessionEndsAt && (
            <div>
              <dt className="text-sm text-ink-3">Sign-in</dt>
              <dd>
                By Supabase.{' '}
                <Link className="link" to={paths.newPassword()}>
                  Change the password
                </Link>
              </dd>
            </div>
          )}
        </dl>
      )}
      <Section
        title="API tokens"
        aside={
          <Button size="small" onClick={create}>
            New token
          </Button>
        }
      >
        <p className="-mt-2 text-ink-2">
          For the command line and for scripts, in MINI_VERCEL_TOKEN.
        </p>
        <Loaded query={tokens} what="the tokens" skeleton={<SkeletonRows rows={2} />}>
          {({ items }) =>
            items.length === 0 ? (
              <p className="card px-4 py-6 text-center text-ink-3">You have no tokens.</p>
            ) : (
              <ul className="divide-y divide-line card">
                {items.map((token) => (
                  <TokenRow key={token.id} token={token} />
                ))}
              </ul>
            )
          }
        </Loaded>
      </Section>
      {user?.admin && <Invite />}
      {creating && <NewTokenDialog onClose={() => setCreating(false)} />}
    </div>
  )
}
