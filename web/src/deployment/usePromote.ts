import { useMutation } from '@tanstack/react-query'

import { promoteDeployment } from '@/api/calls'
import { queryClient } from '@/api/queries'
import type { Deployment, Project } from '@/api/types'
import { toast } from '@/ui/toast'

// noGrace takes the files of earlier deployments away from pages that are open.
type Promotion = { deployment: Deployment; noGrace?: boolean }

// usePromote gives production to a deployment. What was there before is one
// press away.
export function usePromote(project: Project) {
  const before = project.production
  const promote = useMutation({
    mutationFn: ({ deployment, noGrace }: Promotion) => promoteDeployment(deployment.id, noGrace),
    onSuccess: async (_, { deployment }) => {
      const undo = before && before.id !== deployment.id ? before : undefined
      toast.done(
        `Production is now ${deployment.hostId}.`,
        undo && {
          label: 'Undo',
          run: () => {
            promoteDeployment(undo.id).then(
              () => toast.done(`Production is ${undo.hostId} again.`),
              toast.failed,
            )
          },
        },
      )
      await Promise.all(
        ['project', 'projects', 'deployment', 'deployments'].map((key) =>
          queryClient.invalidateQueries({ queryKey: [key] }),
        ),
      )
    },
    onError: toast.failed,
  })
  return promote
}
