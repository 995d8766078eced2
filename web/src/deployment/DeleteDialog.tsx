import { useState, type FormEvent } from 'react'

import type { Deployment } from '@/api/types'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { TextField } from '@/ui/Field'

import type { Action } from './useActions'

type DeleteDialogProps = { deployment: Deployment; action: Action; onClose: () => void }

// DeleteDialog asks for the host id: a deleted deployment can't be had back.
export function DeleteDialog({ deployment, action, onClose }: DeleteDialogProps) {
  const [typed, setTyped] = useState('')
  const matches = typed.trim() === deployment.hostId
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (matches) action.run()
  }
  return (
    <Dialog
      title="Delete this deployment"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button
            type="submit"
            form="delete-deployment"
            look="danger"
            pending={action.pending}
            reason={matches ? undefined : 'Type its id first.'}
          >
            Delete {deployment.hostId}
          </Button>
        </>
      }
    >
      <p>Its addresses answer 410 Gone from now on, and nobody can roll back to it.</p>
      <form id="delete-deployment" onSubmit={submit}>
        <TextField
          label={`Type ${deployment.hostId} to confirm`}
          mono
          autoComplete="off"
          spellCheck={false}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
      </form>
    </Dialog>
  )
}
