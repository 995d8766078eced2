import { Ellipsis } from 'lucide-react'
import { useState } from 'react'

import type { Deployment, Project } from '@/api/types'
import { IconButton } from '@/ui/Button'
import { copyText } from '@/ui/CopyButton'
import { Menu, MenuItem, MenuLine } from '@/ui/Menu'
import { toast } from '@/ui/toast'

import { DeleteDialog } from './DeleteDialog'
import { useActions } from './useActions'

type DeploymentMenuProps = { deployment: Deployment; project: Project }

export function DeploymentMenu({ deployment, project }: DeploymentMenuProps) {
  const actions = useActions(project, deployment)
  const [deleting, setDeleting] = useState(false)
  const { deploymentUrl, hostId } = deployment
  const remove = actions.find(({ id }) => id === 'delete')
  return (
    <>
      <Menu
        trigger={
          <IconButton label={`Actions of ${hostId}`} icon={<Ellipsis size={16} aria-hidden />} />
        }
      >
        {deploymentUrl && deployment.status === 'READY' && (
          <>
            <MenuItem onSelect={() => window.open(deploymentUrl, '_blank', 'noreferrer')}>
              Open its own address
            </MenuItem>
            <MenuItem
              onSelect={() =>
                void copyText(deploymentUrl).then(
                  () => toast.done('The address is copied.'),
                  toast.failed,
                )
              }
            >
              Copy its own address
            </MenuItem>
            <MenuLine />
          </>
        )}
        {actions.map(({ id, label, reason, run }) => (
          <MenuItem
            key={id}
            reason={reason}
            danger={id === 'delete' && !reason}
            onSelect={id === 'delete' ? () => setDeleting(true) : run}
          >
            {label}
          </MenuItem>
        ))}
      </Menu>
      {deleting && remove && (
        <DeleteDialog deployment={deployment} action={remove} onClose={() => setDeleting(false)} />
      )}
    </>
  )
}
