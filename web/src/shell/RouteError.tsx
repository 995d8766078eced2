import { useRouteError } from 'react-router'

import { paths } from '@/paths'
import { Button, ButtonLink } from '@/ui/Button'

import { PageTitle } from './PageTitle'

// RouteError is shown in place of a page that could not be loaded or drawn:
// most often the server has been updated and the old chunks are gone.
export function RouteError() {
  const error = useRouteError()
  return (
    <div className="page flex flex-col items-start gap-4">
      <PageTitle title="This page could not be shown" />
      <p className="text-ink-2">
        {error instanceof Error ? error.message : 'Something went wrong.'} After an update of
        Mini-Vercel, loading it again helps.
      </p>
      <Button onClick={() => location.reload()}>Load again</Button>
    </div>
  )
}

export function NotFoundPage({ what = 'This page' }: { what?: string }) {
  return (
    <div className="page flex flex-col items-start gap-4">
      <PageTitle title={`${what} does not exist`} />
      <p className="text-ink-2">It may have been deleted, renamed, or belong to somebody else.</p>
      <ButtonLink to={paths.projects()}>Go to the projects</ButtonLink>
    </div>
  )
}
