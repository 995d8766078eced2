import { useState } from 'react'

import { messageOf } from '@/api/error'
import type { Environment, Project } from '@/api/types'
import type { Folder } from '@/archive/folder'
import { FolderDrop } from '@/archive/FolderDrop'
import { UploadProgress } from '@/archive/UploadProgress'
import { useDeployFolder } from '@/archive/useDeployFolder'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { FormError, SelectField } from '@/ui/Field'

export function UploadDialog({ project, onClose }: { project: Project; onClose: () => void }) {
  const [folder, setFolder] = useState<Folder>()
  const [environment, setEnvironment] = useState<Environment>('production')
  const deploy = useDeployFolder()
  return (
    <Dialog
      title="Upload a folder"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            pending={deploy.isPending}
            reason={folder ? undefined : 'Choose a folder first.'}
            onClick={() => folder && deploy.mutate({ project, folder, environment })}
          >
            Deploy
          </Button>
        </>
      }
    >
      <FolderDrop folder={folder} onFolder={setFolder} />
      <SelectField
        label="Environment"
        value={environment}
        onChange={(event) => setEnvironment(event.target.value as Environment)}
      >
        <option value="production">Production</option>
        <option value="preview">Preview</option>
      </SelectField>
      {deploy.progress && <UploadProgress progress={deploy.progress} />}
      <FormError>{deploy.error && messageOf(deploy.error)}</FormError>
    </Dialog>
  )
}
