import { useMutation } from '@tanstack/react-query'
import { Pin } from 'lucide-react'

import { resumeProject } from '@/api/calls'
import { queryClient } from '@/api/queries'
import type { Project } from '@/api/types'
import { useCommands } from '@/shell/commands'
import { Button } from '@/ui/Button'
import { toast } from '@/ui/toast'

// PinnedBar says that production stays where it is, and ends that.
export function PinnedBar({ project }: { project: Project }) {
  const resume = useMutation({
    mutationFn: () => resumeProject(project.id),
    onSuccess: () => {
      toast.done('Production follows new deployments again.')
      return queryClient.invalidateQueries({ queryKey: ['project'] })
    },
    onError: toast.failed,
  })
  useCommands([
    {
      id: 'resume',
      label: 'Resume: let new deployments take production',
      run: () => resume.mutate(),
    },
  ])
  return (
    <div
      role="status"
      className="flex flex-wrap items-center gap-x-4 gap-y-2 rounded-lg border border-warn-line bg-warn-soft px-4 py-3"
    >
      <Pin size={16} className="shrink-0 text-warn" aria-hidden />
      <p className="min-w-0 grow basis-64">
        <span className="font-medium">Production is pinned</span>
        {project.production && (
          <>
            {' '}
            to <code className="font-mono text-sm">{project.production.hostId}</code>
          </>
        )}
        . New deployments get their own address only, until you resume.
      </p>
      <Button size="small" pending={resume.isPending} onClick={() => resume.mutate()}>
        Resume
      </Button>
    </div>
  )
}
