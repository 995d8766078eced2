import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { useNavigate } from 'react-router'

import { deleteProject } from '@/api/calls'
import { queryClient } from '@/api/queries'
import type { Project } from '@/api/types'
import { paths } from '@/paths'
import { useCommands } from '@/shell/commands'
import { Section } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { TextField } from '@/ui/Field'
import { toast } from '@/ui/toast'

export function DeleteProject({ project }: { project: Project }) {
  const navigate = useNavigate()
  const [asking, setAsking] = useState(false)
  const [typed, setTyped] = useState('')
  const remove = useMutation({
    mutationFn: () => deleteProject(project.id),
    onSuccess: async () => {
      toast.done(`${project.name} is being deleted.`)
      await navigate(paths.projects())
      await queryClient.invalidateQueries({ queryKey: ['projects'] })
    },
    onError: toast.failed,
  })
  const ask = () => setAsking(true)
  useCommands([{ id: 'delete-project', label: `Delete ${project.name}…`, run: ask }])
  const matches = typed.trim() === project.subDomain
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (matches) remove.mutate()
  }
  return (
    <Section title="Delete">
      <div className="flex flex-wrap items-center justify-between gap-4 rounded-lg border border-bad-line p-5">
        <p className="min-w-0 grow basis-64">
          Stops its builds, takes its sites off the network, and deletes its files and logs. Nobody
          else can take its name for 30 days.
        </p>
        <Button look="danger" onClick={ask}>
          Delete project…
        </Button>
      </div>
      {asking && (
        <Dialog
          title={`Delete ${project.name}`}
          onClose={() => setAsking(false)}
          footer={
            <>
              <Button onClick={() => setAsking(false)}>Keep it</Button>
              <Button
                type="submit"
                form="delete-project"
                look="danger"
                pending={remove.isPending}
                reason={matches ? undefined : 'Type its subdomain first.'}
              >
                Delete {project.name}
              </Button>
            </>
          }
        >
          <p>All of its deployments go with it. This can’t be undone.</p>
          <form id="delete-project" onSubmit={submit}>
            <TextField
              label={`Type ${project.subDomain} to confirm`}
              mono
              autoComplete="off"
              spellCheck={false}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          </form>
        </Dialog>
      )}
    </Section>
  )
}
