import { useMutation } from '@tanstack/react-query'
import { useNavigate } from 'react-router'

import { cancelDeployment, deleteDeployment, retryDeployment } from '@/api/calls'
import { queryClient } from '@/api/queries'
import type { Deployment, Project } from '@/api/types'
import { shortCommit } from '@/format/source'
import { paths } from '@/paths'
import { toast } from '@/ui/toast'

import { useDeploy } from './useDeploy'
import { usePromote } from './usePromote'

export type Action = {
  id: 'promote' | 'redeploy' | 'retry' | 'cancel' | 'delete'
  label: string
  reason: string | undefined // why not now
  pending: boolean
  run: () => void
}

const refresh = () =>
  Promise.all(
    ['deployment', 'deployments', 'project'].map((key) =>
      queryClient.invalidateQueries({ queryKey: [key] }),
    ),
  )

// useActions is what can be done with a deployment: those that make sense in
// its status, with a reason where one can't be done now.
export function useActions(project: Project, deployment: Deployment): Action[] {
  const navigate = useNavigate()
  const promote = usePromote(project)
  const redeploy = useDeploy(project)
  const cancel = useMutation({
    mutationFn: () => cancelDeployment(deployment.id),
    onSuccess: refresh,
    onError: toast.failed,
  })
  const retry = useMutation({
    mutationFn: () => retryDeployment(deployment.id),
    onSuccess: (next) => void navigate(paths.deployment(project, next)),
    onError: toast.failed,
  })
  const remove = useMutation({
    mutationFn: () => deleteDeployment(deployment.id),
    onSuccess: async () => {
      toast.done(`Deployment ${deployment.hostId} is deleted.`)
      await navigate(paths.project(project))
      await refresh()
    },
    onError: toast.failed,
  })

  const { status, source, kind, hostId, inProduction } = deployment
  const running = status === 'QUEUED' || status === 'IN_PROGRESS'
  const name = source.commit ? shortCommit(source.commit) : hostId
  const actions: Action[] = []
  if (status === 'READY') {
    actions.push({
      id: 'promote',
      label: `Promote ${name} to production`,
      reason: inProduction ? 'It is in production.' : undefined,
      pending: promote.isPending,
      run: () => promote.mutate({ deployment }),
    })
  }
  if (running) {
    actions.push({
      id: 'cancel',
      label: 'Cancel',
      reason: deployment.phase === 'publish' ? 'It is being published.' : undefined,
      pending: cancel.isPending,
      run: () => cancel.mutate(),
    })
  }
  if ((status === 'FAIL' || status === 'CANCELED') && kind !== 'files') {
    actions.push({
      id: 'retry',
      label: 'Retry',
      reason: undefined,
      pending: retry.isPending,
      run: () => retry.mutate(),
    })
  }
  if (status === 'READY' && kind === 'git') {
    actions.push({
      id: 'redeploy',
      label: 'Redeploy',
      reason: undefined,
      pending: redeploy.isPending,
      run: () =>
        redeploy.mutate({
          projectId: project.id,
          environment: deployment.environment,
          ...(source.branch ? { branch: source.branch } : {}),
          ...(source.commit ? { commit: source.commit } : {}),
        }),
    })
  }
  if (!running) {
    actions.push({
      id: 'delete',
      label: 'Delete…',
      reason: inProduction ? 'It is in production.' : undefined,
      pending: remove.isPending,
      run: () => remove.mutate(),
    })
  }
  return actions
}
