import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'

import { queries } from '@/api/queries'
import { useProject } from '@/project/ProjectLayout'
import { useCommands } from '@/shell/commands'
import { PageTitle } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { CommandLine } from '@/ui/CopyButton'
import { Empty, Loaded, Skeleton } from '@/ui/Loaded'

import { AddDomain } from './AddDomain'
import { DomainCard } from './DomainCard'

export function Component() {
  const project = useProject()
  const domains = useQuery(queries.domains(project.id))
  const [adding, setAdding] = useState(false)
  const add = () => setAdding(true)
  useCommands([{ id: 'domain-add', label: 'Add a domain', run: add }])
  return (
    <div className="page flex flex-col gap-6">
      <div className="flex flex-col gap-2">
        <PageTitle title="Domains" tab={`Domains · ${project.name}`}>
          <Button look="primary" onClick={add}>
            Add domain
          </Button>
        </PageTitle>
        <p className="text-ink-2">Names of your own that lead to production.</p>
      </div>
      <Loaded query={domains} what="the domains" skeleton={<DomainSkeleton />}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No domains yet">
              <p className="text-ink-2">Add one here, or from a terminal:</p>
              <CommandLine
                command={`mini-vercel domains add www.example.com --project ${project.subDomain}`}
              />
            </Empty>
          ) : (
            <ul className="flex flex-col gap-6">
              {items.map((domain) => (
                <DomainCard key={domain.host} project={project} domain={domain} siblings={items} />
              ))}
            </ul>
          )
        }
      </Loaded>
      {adding && <AddDomain project={project} onClose={() => setAdding(false)} />}
    </div>
  )
}

function DomainSkeleton() {
  return (
    <div className="flex flex-col gap-4 card p-5">
      <Skeleton className="h-6 w-56" />
      <Skeleton className="h-4 w-96 max-w-full" />
      <Skeleton className="h-24" />
    </div>
  )
}
