import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { putEnvVar } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queryClient } from '@/api/queries'
import type { EnvVar, Project } from '@/api/types'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { CheckField, FormError, TextArea, TextField } from '@/ui/Field'

import { isEnvName } from './dotenv'
import { EnvironmentChoice, type Where } from './EnvironmentChoice'

type EnvFormProps = { project: Project; variable: EnvVar | undefined; onClose: () => void }

export function EnvForm({ project, variable, onClose }: EnvFormProps) {
  const [key, setKey] = useState(variable?.key ?? '')
  const [value, setValue] = useState(variable?.value ?? '')
  const [secret, setSecret] = useState(variable?.secret ?? false)
  const [where, setWhere] = useState<Where>(variable?.environments ?? ['production', 'preview'])
  const save = useMutation({
    mutationFn: () => putEnvVar(project.id, key.trim(), { value, secret, environments: where }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['env', project.id] })
      onClose()
    },
  })
  const errors = fieldErrors(save.error, ['key', 'value'])
  const badName = key !== '' && !isEnvName(key.trim())
  const reason =
    key === ''
      ? 'Give it a name first.'
      : badName
        ? 'Its name is not one.'
        : where.length === 0
          ? 'Choose an environment first.'
          : undefined
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!reason) save.mutate()
  }
  return (
    <Dialog
      title={variable ? `Change ${variable.key}` : 'Add variable'}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            form="env-form"
            look="primary"
            pending={save.isPending}
            reason={reason}
          >
            Save
          </Button>
        </>
      }
    >
      <form id="env-form" className="flex flex-col gap-4" onSubmit={submit}>
        <TextField
          label="Name"
          mono
          disabled={variable !== undefined}
          autoComplete="off"
          spellCheck={false}
          value={key}
          onChange={(event) => setKey(event.target.value)}
          error={badName ? 'Use letters, digits and underscores, no digit first.' : errors.of.key}
        />
        <TextArea
          label="Value"
          rows={3}
          spellCheck={false}
          autoComplete="off"
          hint={
            variable?.secret
              ? 'The value that is there can’t be shown; this replaces it.'
              : undefined
          }
          value={value}
          onChange={(event) => setValue(event.target.value)}
          error={errors.of.value}
        />
        <EnvironmentChoice value={where} onChange={setWhere} />
        <CheckField
          label="Secret: masked in logs, never shown again"
          checked={secret}
          disabled={variable?.secret ?? false}
          onChange={(event) => setSecret(event.target.checked)}
        />
        <FormError>{errors.form}</FormError>
      </form>
    </Dialog>
  )
}
