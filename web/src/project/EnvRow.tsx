import { useMutation } from '@tanstack/react-query'
import { Eye, EyeOff, Lock, Pencil, Trash2 } from 'lucide-react'
import { useState } from 'react'

import { deleteEnvVar, putEnvVar } from '@/api/calls'
import { queryClient } from '@/api/queries'
import type { EnvVar, Project } from '@/api/types'
import { Button, IconButton } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { toast } from '@/ui/toast'
import { When } from '@/ui/When'

type EnvRowProps = { project: Project; variable: EnvVar; onChange: () => void }

export function EnvRow({ project, variable, onChange }: EnvRowProps) {
  const { key, value, secret, environments, updatedAt } = variable
  const [shown, setShown] = useState(false)
  const [asking, setAsking] = useState(false)
  const refresh = () => queryClient.invalidateQueries({ queryKey: ['env', project.id] })
  const undo = () =>
    putEnvVar(project.id, key, { value: value ?? '', secret, environments }).then(
      refresh,
      toast.failed,
    )
  const remove = useMutation({
    mutationFn: () => deleteEnvVar(project.id, key),
    onSuccess: () => {
      toast.done(
        `${key} is removed.`,
        secret ? undefined : { label: 'Undo', run: () => void undo() },
      )
      return refresh()
    },
    onError: toast.failed,
  })
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-0.5 py-2 pr-2 pl-4 sm:grid-cols-[minmax(0,14rem)_minmax(0,1fr)_auto]">
      <div className="col-start-1 row-start-1 min-w-0">
        <p className="font-mono text-sm font-medium break-all">{key}</p>
        <p className="text-xs text-ink-3">
          {environmentsText(environments)}, <When at={updatedAt} />
        </p>
      </div>
      <div className="min-w-0 max-sm:col-span-2 max-sm:col-start-1 max-sm:row-start-2">
        {secret ? (
          <p className="flex items-center gap-1.5 text-sm text-ink-3">
            <Lock size={12} aria-hidden /> Secret: can be replaced, not read
          </p>
        ) : (
          <code className="font-mono text-sm break-all whitespace-pre-wrap">
            {shown ? value : '••••••••'}
          </code>
        )}
      </div>
      <div className="flex justify-end max-sm:col-start-2 max-sm:row-start-1">
        {!secret && (
          <IconButton
            label={shown ? `Hide ${key}` : `Show ${key}`}
            icon={shown ? <EyeOff size={14} aria-hidden /> : <Eye size={14} aria-hidden />}
            onClick={() => setShown(!shown)}
          />
        )}
        <IconButton
          label={`Change ${key}`}
          icon={<Pencil size={14} aria-hidden />}
          onClick={onChange}
        />
        <IconButton
          label={`Remove ${key}`}
          icon={<Trash2 size={14} aria-hidden />}
          pending={remove.isPending}
          onClick={() => (secret ? setAsking(true) : remove.mutate())}
        />
      </div>
      {asking && (
        <Dialog
          title={`Remove ${key}`}
          onClose={() => setAsking(false)}
          footer={
            <>
              <Button onClick={() => setAsking(false)}>Keep it</Button>
              <Button
                look="danger"
                pending={remove.isPending}
                onClick={() => remove.mutate(undefined, { onSettled: () => setAsking(false) })}
              >
                Remove {key}
              </Button>
            </>
          }
        >
          <p>Nobody can read a secret, so this can’t be undone from here.</p>
        </Dialog>
      )}
    </li>
  )
}

export function environmentsText(environments: EnvVar['environments']): string {
  if (environments.length !== 1) return 'Production and preview'
  return environments[0] === 'production' ? 'Production' : 'Preview'
}
