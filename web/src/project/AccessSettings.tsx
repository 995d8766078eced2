import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { removeAccess, setAccess } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queryClient } from '@/api/queries'
import type { AccessScope, Project } from '@/api/types'
import { Section } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { FormError, SelectField, TextField } from '@/ui/Field'
import { toast } from '@/ui/toast'

type Choice = AccessScope | 'off'

const choices: { value: Choice; label: string }[] = [
  { value: 'off', label: 'Everyone may look' },
  { value: 'previews', label: 'Previews ask for a password' },
  { value: 'all', label: 'Every host asks for a password' },
]

const names = ['scope', 'password'] as const

// AccessSettings says who may look at the project's sites, and changes it.
export function AccessSettings({ project }: { project: Project }) {
  const current: Choice = project.access?.scope ?? 'off'
  const [chosen, setChosen] = useState<Choice>()
  const [password, setPassword] = useState('')
  const scope = chosen ?? current
  const save = useMutation({
    mutationFn: (): Promise<unknown> =>
      scope === 'off'
        ? removeAccess(project.id)
        : setAccess(project.id, { scope, ...(password ? { password } : {}) }),
    onSuccess: () => {
      toast.done(scope === 'off' ? 'Everyone may look.' : 'The protection is saved.')
      setPassword('')
      setChosen(undefined)
      return queryClient.invalidateQueries({ queryKey: ['project'] })
    },
  })
  const errors = fieldErrors(save.error, names)
  const reason = whyNot(current, scope, password)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!reason) save.mutate()
  }
  return (
    <Section title="Access">
      <form className="flex flex-col gap-4 card p-5" onSubmit={submit}>
        <div className="grid gap-4 sm:grid-cols-2">
          <SelectField
            label="Who may look"
            name="scope"
            value={scope}
            error={errors.of.scope}
            onChange={(event) => setChosen(event.target.value as Choice)}
          >
            {choices.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </SelectField>
          {scope !== 'off' && (
            <TextField
              label={current === 'off' ? 'Password' : 'New password'}
              name="site-password"
              type="password"
              autoComplete="new-password"
              value={password}
              error={errors.of.password}
              hint={
                current === 'off'
                  ? '8 to 128 characters, for all who may look.'
                  : 'Empty: the password stays.'
              }
              onChange={(event) => setPassword(event.target.value)}
            />
          )}
        </div>
        <FormError>{errors.form}</FormError>
        <div className="flex flex-wrap items-center justify-end gap-x-4 gap-y-2">
          <p className="min-w-0 grow basis-64 text-sm text-ink-3">
            {consequence(current, scope, password)}
          </p>
          <Button type="submit" look="primary" pending={save.isPending} reason={reason}>
            {scope === 'off' && current !== 'off' ? 'Open to everyone' : 'Save access'}
          </Button>
        </div>
      </form>
    </Section>
  )
}

function whyNot(current: Choice, scope: Choice, password: string): string | undefined {
  if (scope === current && (scope === 'off' || password === '')) return 'Nothing has changed.'
  if (current === 'off' && password === '') return 'Choose a password first.'
  return undefined
}

// consequence says what saving does, or what is so now.
function consequence(current: Choice, scope: Choice, password: string): string {
  if (scope === 'off') {
    return current === 'off'
      ? 'Previews can be found by who knows their address; search engines are told to stay away.'
      : 'Every host opens to everyone within seconds.'
  }
  if (current !== 'off' && password !== '') {
    return 'A new password ends every access there is: who was let in is asked again, and links that were shared are no longer good.'
  }
  if (current !== 'off' && scope !== current) return 'Who was let in stays so, at the same hosts.'
  return 'Who has the password is let in for a day. A deployment’s page makes links that need none.'
}
