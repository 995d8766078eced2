import { useMutation } from '@tanstack/react-query'

import { invite } from '@/api/calls'
import { messageOf } from '@/api/error'
import { useCommands } from '@/shell/commands'
import { Section } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { CommandLine } from '@/ui/CopyButton'
import { FormError } from '@/ui/Field'

// Invite makes a link by which one other person can make an account.
export function Invite() {
  const create = useMutation({ mutationFn: invite })
  useCommands([{ id: 'invite', label: 'Make an invitation', run: () => create.mutate() }])
  return (
    <Section
      title="Invite someone"
      aside={
        <Button size="small" pending={create.isPending} onClick={() => create.mutate()}>
          {create.data ? 'Make another' : 'Make an invitation'}
        </Button>
      }
    >
      <p className="-mt-2 text-ink-2">One link for one new account, with projects of its own.</p>
      {create.data && <CommandLine command={create.data.url} />}
      <FormError>{create.error && messageOf(create.error)}</FormError>
    </Section>
  )
}
