import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { createProject } from '@/api/calls'
import { fieldErrors, messageOf } from '@/api/error'
import { queryClient } from '@/api/queries'
import type { Project } from '@/api/types'
import type { Folder } from '@/archive/folder'
import { FolderDrop } from '@/archive/FolderDrop'
import { UploadProgress } from '@/archive/UploadProgress'
import { useDeployFolder } from '@/archive/useDeployFolder'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'

export function FromFolder() {
  const [folder, setFolder] = useState<Folder>()
  const [ownName, setName] = useState<string>()
  const [created, setCreated] = useState<Project>()
  const upload = useDeployFolder()
  const create = useMutation({
    mutationFn: createProject,
    onSuccess: (project) => {
      setCreated(project)
      void queryClient.invalidateQueries({ queryKey: ['projects'] })
    },
  })
  const name = ownName ?? folder?.name ?? ''
  const errors = fieldErrors(create.error, ['name'])
  const pending = create.isPending || upload.isPending

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (!folder || pending) return
    // After an upload that failed the project is there: it is used again.
    const project = created ?? (await create.mutateAsync({ name }).catch(() => undefined))
    if (project) upload.mutate({ project, folder, environment: 'production' })
  }
  return (
    <form className="flex flex-col gap-6" onSubmit={submit}>
      <FolderDrop folder={folder} onFolder={setFolder} />
      <TextField
        label="Project name"
        name="name"
        required
        disabled={created !== undefined}
        autoComplete="off"
        spellCheck={false}
        value={name}
        onChange={(event) => setName(event.target.value)}
        error={errors.of.name}
      />
      {upload.progress && <UploadProgress progress={upload.progress} />}
      <FormError>{errors.form ?? (upload.error && messageOf(upload.error))}</FormError>
      <div className="flex justify-end">
        <Button
          type="submit"
          look="primary"
          pending={pending}
          reason={folder ? undefined : 'Choose a folder first.'}
          className="max-sm:w-full"
        >
          Deploy
        </Button>
      </div>
    </form>
  )
}
