import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { createShareLink } from '@/api/calls'
import { messageOf } from '@/api/error'
import type { Deployment, Host, Project } from '@/api/types'
import { absoluteTime } from '@/format/time'
import { Button } from '@/ui/Button'
import { CopyButton } from '@/ui/CopyButton'
import { Dialog } from '@/ui/Dialog'
import { FormError, SelectField } from '@/ui/Field'

const hour = 3600
const lives: { seconds: number; label: string }[] = [
  { seconds: hour, label: '1 hour' },
  { seconds: 24 * hour, label: '1 day' },
  { seconds: 7 * 24 * hour, label: '7 days' },
  { seconds: 30 * 24 * hour, label: '30 days' },
]

// protectedHosts are those of a deployment that ask for the project's password,
// the one that never changes first.
export function protectedHosts(project: Project, deployment: Deployment): Host[] {
  if (!project.access || deployment.status !== 'READY') return []
  return deployment.hosts
    .filter((host) => project.access?.scope === 'all' || isPreview(host))
    .toSorted((a, b) => Number(b.role === 'deployment') - Number(a.role === 'deployment'))
}

function isPreview({ role }: Host): boolean {
  return role === 'branch' || role === 'deployment'
}

type ShareDialogProps = { project: Project; hosts: Host[]; onClose: () => void }

// ShareDialog makes a link that opens one host without the password.
export function ShareDialog({ project, hosts, onClose }: ShareDialogProps) {
  const [host, setHost] = useState(hosts[0]?.host ?? '')
  const [seconds, setSeconds] = useState(24 * hour)
  const create = useMutation({
    mutationFn: () => createShareLink(project.id, { host, expiresIn: seconds }),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate()
  }
  const link = create.data
  return (
    <Dialog
      title="Share a link"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Close</Button>
          <Button type="submit" form="share" look="primary" pending={create.isPending}>
            {link ? 'Make another' : 'Make a link'}
          </Button>
        </>
      }
    >
      <p className="text-ink-2">
        Whoever has the link sees this host without the password, until it expires or the password
        is changed.
      </p>
      <form id="share" className="grid gap-4 sm:grid-cols-[minmax(0,1fr)_auto]" onSubmit={submit}>
        <SelectField label="Host" value={host} onChange={(event) => setHost(event.target.value)}>
          {hosts.map((one) => (
            <option key={one.host}>{one.host}</option>
          ))}
        </SelectField>
        <SelectField
          label="Good for"
          value={seconds}
          onChange={(event) => setSeconds(Number(event.target.value))}
        >
          {lives.map((life) => (
            <option key={life.seconds} value={life.seconds}>
              {life.label}
            </option>
          ))}
        </SelectField>
      </form>
      <FormError>{create.error && messageOf(create.error)}</FormError>
      {link && (
        <div role="status" className="flex flex-col gap-1.5">
          <div className="flex max-w-full items-center gap-2 rounded-md border border-line bg-sunken py-1 pr-1 pl-3">
            <code className="min-w-0 grow overflow-x-auto py-1 font-mono text-sm whitespace-nowrap">
              {link.url}
            </code>
            <CopyButton text={link.url} label="Copy the link" />
          </div>
          <p className="text-sm text-ink-3">Good until {absoluteTime(new Date(link.expiresAt))}.</p>
        </div>
      )}
    </Dialog>
  )
}
