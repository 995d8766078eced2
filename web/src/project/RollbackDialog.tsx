import clsx from 'clsx'
import { useState } from 'react'

import type { Deployment, Project } from '@/api/types'
import { usePromote } from '@/deployment/usePromote'
import { shortCommit, title } from '@/format/source'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { CheckField } from '@/ui/Field'
import { When } from '@/ui/When'

type RollbackDialogProps = { project: Project; candidates: Deployment[]; onClose: () => void }

const shownAtMost = 6

// RollbackDialog names what production would return to, and that it is pinned
// there.
export function RollbackDialog({ project, candidates, onClose }: RollbackDialogProps) {
  const shown = candidates.slice(0, shownAtMost)
  const [chosenId, setChosenId] = useState(shown[0]?.id)
  const [noGrace, setNoGrace] = useState(false)
  const promote = usePromote(project)
  const chosen = shown.find(({ id }) => id === chosenId)
  return (
    <Dialog
      title="Roll back production"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Keep as it is</Button>
          <Button
            look="primary"
            pending={promote.isPending}
            onClick={() =>
              chosen && promote.mutate({ deployment: chosen, noGrace }, { onSuccess: onClose })
            }
          >
            Roll back to {chosen?.hostId}
          </Button>
        </>
      }
    >
      <fieldset className="flex flex-col gap-2">
        <legend className="mb-3">
          Production returns to one of these at once; nothing is built again. It is then pinned:
          later deployments reach only their own addresses until you resume.
        </legend>
        {shown.map((deployment) => (
          <label
            key={deployment.id}
            className={clsx(
              'flex cursor-pointer items-center gap-3 rounded-md border px-3 py-2',
              deployment.id === chosenId
                ? 'border-accent bg-accent-soft'
                : 'border-line hover:border-line-strong',
            )}
          >
            <input
              type="radio"
              name="deployment"
              className="size-4 shrink-0 accent-accent"
              checked={deployment.id === chosenId}
              onChange={() => setChosenId(deployment.id)}
            />
            <span className="min-w-0 grow">
              <span className="block truncate">{title(deployment)}</span>
              <span className="flex gap-2 text-sm text-ink-3">
                <code className="font-mono">
                  {deployment.source.commit
                    ? shortCommit(deployment.source.commit)
                    : deployment.hostId}
                </code>
                <When at={deployment.createdAt} />
              </span>
            </span>
          </label>
        ))}
      </fieldset>
      <CheckField
        label="Take the files of what is live now away from open pages at once"
        checked={noGrace}
        onChange={(event) => setNoGrace(event.target.checked)}
      />
    </Dialog>
  )
}
