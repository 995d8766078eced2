import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { suspendProject, unsuspendProject } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queryClient } from '@/api/queries'
import { Section } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'
import { toast } from '@/ui/toast'

// Suspend lets an administrator take anybody's project down, and put it up
// again. It has to be named: other people's projects are in no list.
export function Suspend() {
  const [name, setName] = useState('')
  const change = useMutation({
    mutationFn: (suspend: boolean) =>
      suspend ? suspendProject(name.trim()) : unsuspendProject(name.trim()),
    onSuccess: (project, suspend) => {
      toast.done(suspend ? `${project.name} is suspended.` : `${project.name} is served again.`)
      setName('')
      return Promise.all(
        ['project', 'projects'].map((key) => queryClient.invalidateQueries({ queryKey: [key] })),
      )
    },
  })
  const errors = fieldErrors(change.error, ['id'])
  const reason = name.trim() === '' ? 'Name a project first.' : undefined
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!reason) change.mutate(true)
  }
  return (
    <Section title="Suspend a project">
      <form className="flex flex-col gap-4 card p-5" onSubmit={submit}>
        <TextField
          label="Subdomain or id"
          mono
          autoComplete="off"
          spellCheck={false}
          value={name}
          error={errors.of.id}
          hint="Anybody’s. All its hosts answer 403, and nothing of it is built; no file is lost."
          onChange={(event) => setName(event.target.value)}
        />
        <FormError>{errors.form}</FormError>
        <div className="flex flex-wrap justify-end gap-2">
          <Button
            pending={change.isPending && !change.variables}
            reason={reason}
            onClick={() => change.mutate(false)}
          >
            Put it up again
          </Button>
          <Button
            type="submit"
            look="danger"
            pending={change.isPending && change.variables}
            reason={reason}
          >
            Suspend
          </Button>
        </div>
      </form>
    </Section>
  )
}
