import { useQuery } from '@tanstack/react-query'
import { TriangleAlert } from 'lucide-react'

import { queries } from '@/api/queries'
import type { Project } from '@/api/types'
import { calendarDay } from '@/format/time'
import { paths } from '@/paths'
import { ButtonLink } from '@/ui/Button'

// DomainBar gives notice of domains whose DNS records are gone.
export function DomainBar({ project }: { project: Project }) {
  const domains = useQuery(queries.domains(project.id))
  const bad = (domains.data?.items ?? []).filter(
    ({ state }) => state === 'missing' || state === 'stopped',
  )
  return bad.map(({ host, unicode, state, stopsAt }) => (
    <div
      key={host}
      role="status"
      className="flex flex-wrap items-center gap-x-4 gap-y-2 rounded-lg border border-warn-line bg-warn-soft px-4 py-3"
    >
      <TriangleAlert size={16} className="shrink-0 text-warn" aria-hidden />
      <p className="min-w-0 grow basis-64 break-words">
        <span className="font-medium">The DNS records of {unicode} are gone.</span>{' '}
        {state === 'stopped'
          ? 'It no longer answers, until they are back.'
          : `If they stay gone, it stops answering on ${calendarDay(new Date(stopsAt ?? ''))}.`}
      </p>
      <ButtonLink size="small" to={paths.domains(project)}>
        See the records
      </ButtonLink>
    </div>
  ))
}
