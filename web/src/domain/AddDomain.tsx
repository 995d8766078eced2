import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { addDomain } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queryClient } from '@/api/queries'
import type { Project } from '@/api/types'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { CheckField, FormError, TextField } from '@/ui/Field'

import { otherHost } from './names'

type AddDomainProps = { project: Project; onClose: () => void }

export function AddDomain({ project, onClose }: AddDomainProps) {
  const [host, setHost] = useState('')
  const [redirectOther, setRedirectOther] = useState(false)
  const name = host.trim()
  const other = otherHost(name)
  const save = useMutation({
    mutationFn: () =>
      addDomain(project.id, { host: name, redirectOther: redirectOther && other !== undefined }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['domains', project.id] })
      onClose()
    },
  })
  const errors = fieldErrors(save.error, ['host', 'redirectOther'])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (name !== '' && !save.isPending) save.mutate()
  }
  return (
    <Dialog
      title="Add a domain"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            form="domain-form"
            look="primary"
            pending={save.isPending}
            reason={name === '' ? 'Give a domain first.' : undefined}
          >
            {save.isPending ? 'Looking it up' : 'Add domain'}
          </Button>
        </>
      }
    >
      <form id="domain-form" className="flex flex-col gap-4" onSubmit={submit}>
        <TextField
          label="Domain"
          placeholder="www.example.com"
          inputMode="url"
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          value={host}
          onChange={(event) => setHost(event.target.value)}
          hint="Then you are shown which DNS records to set."
          error={errors.of.host}
        />
        {other && (
          <div className="flex flex-col gap-1.5">
            <CheckField
              label={
                <span className="min-w-0 break-words">
                  Redirect {other} to {name} too
                </span>
              }
              checked={redirectOther}
              aria-invalid={errors.of.redirectOther ? true : undefined}
              aria-describedby={errors.of.redirectOther ? 'redirect-text' : undefined}
              onChange={(event) => setRedirectOther(event.target.checked)}
            />
            {errors.of.redirectOther && (
              <p id="redirect-text" role="alert" className="text-sm text-bad">
                {errors.of.redirectOther}
              </p>
            )}
          </div>
        )}
        <FormError>{errors.form}</FormError>
      </form>
    </Dialog>
  )
}
