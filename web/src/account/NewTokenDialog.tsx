import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { createToken } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queryClient } from '@/api/queries'
import type { Scope } from '@/api/types'
import { Button } from '@/ui/Button'
import { CommandLine } from '@/ui/CopyButton'
import { Dialog } from '@/ui/Dialog'
import { FormError, SelectField, TextField } from '@/ui/Field'

// NewTokenDialog makes a token and shows its secret, this once.
export function NewTokenDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('')
  const [scope, setScope] = useState<Scope>('deploy')
  const create = useMutation({
    mutationFn: createToken,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['tokens'] }),
  })
  const errors = fieldErrors(create.error, ['name', 'scope'])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate({ name: name.trim(), scope })
  }
  if (create.data) {
    return (
      <Dialog
        title={create.data.name}
        onClose={onClose}
        footer={
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        }
      >
        <p>Copy the token now: it is kept as a hash, and can’t be shown again.</p>
        <CommandLine command={create.data.token} />
      </Dialog>
    )
  }
  return (
    <Dialog
      title="New token"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            form="new-token"
            look="primary"
            pending={create.isPending}
            reason={name.trim() === '' ? 'Give it a name first.' : undefined}
          >
            Create token
          </Button>
        </>
      }
    >
      <form id="new-token" className="flex flex-col gap-4" onSubmit={submit}>
        <TextField
          label="Name"
          hint="What will use it, such as CI of the blog."
          autoComplete="off"
          value={name}
          onChange={(event) => setName(event.target.value)}
          error={errors.of.name}
        />
        <SelectField
          label="Scope"
          value={scope}
          onChange={(event) => setScope(event.target.value as Scope)}
          error={errors.of.scope}
        >
          <option value="read">Read: look at projects, deployments and logs</option>
          <option value="deploy">Deploy: read, deploy, cancel and promote</option>
          <option value="admin">Admin: everything that you may do</option>
        </SelectField>
        <FormError>{errors.form}</FormError>
      </form>
    </Dialog>
  )
}
