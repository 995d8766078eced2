import { useMutation, useQuery } from '@tanstack/react-query'
import { CircleSlash } from 'lucide-react'

import { unsuspendProject } from '@/api/calls'
import { queries, queryClient } from '@/api/queries'
import type { Project } from '@/api/types'
import { Button } from '@/ui/Button'
import { toast } from '@/ui/toast'

// SuspendedBar says, on every page of a project, that nobody can see its sites.
// An administrator can end that.
export function SuspendedBar({ project }: { project: Project }) {
  const admin = useQuery(queries.me()).data?.user.admin
  const release = useMutation({
    mutationFn: () => unsuspendProject(project.id),
    onSuccess: () => {
      toast.done(`${project.name} is served again.`)
      return queryClient.invalidateQueries({ queryKey: ['project'] })
    },
    onError: toast.failed,
  })
  if (project.state !== 'suspended') return null
  return (
    <div
      role="status"
      className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b border-bad-line bg-bad-soft px-4 py-2 md:px-5"
    >
      <CircleSlash size={16} className="shrink-0 text-bad" aria-hidden />
      <p className="min-w-0 grow basis-64">
        <span className="font-medium">An administrator has suspended this project.</span> Its sites
        answer 403, and nothing is built, until it is put up again.
      </p>
      {admin && (
        <Button size="small" pending={release.isPending} onClick={() => release.mutate()}>
          Put it up again
        </Button>
      )}
    </div>
  )
}
