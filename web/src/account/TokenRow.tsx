import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'

import { deleteToken } from '@/api/calls'
import { queryClient } from '@/api/queries'
import type { Token } from '@/api/types'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { toast } from '@/ui/toast'
import { When } from '@/ui/When'

export function TokenRow({ token }: { token: Token }) {
  const [asking, setAsking] = useState(false)
  const revoke = useMutation({
    mutationFn: () => deleteToken(token.id),
    onSuccess: () => {
      toast.done(`${token.name} is revoked.`)
      return queryClient.invalidateQueries({ queryKey: ['tokens'] })
    },
    onError: toast.failed,
  })
  return (
    <li className="flex items-center gap-4 py-2.5 pr-3 pl-4">
      <div className="min-w-0 grow">
        <p className="truncate font-medium">{token.name}</p>
        <p className="text-sm text-ink-3">
          {token.scope}, made <When at={token.createdAt} />,{' '}
          {token.lastUsedAt ? <When at={token.lastUsedAt} prefix="last used " /> : 'never used'}
        </p>
      </div>
      <Button size="small" onClick={() => setAsking(true)}>
        Revoke…
      </Button>
      {asking && (
        <Dialog
          title={`Revoke ${token.name}`}
          onClose={() => setAsking(false)}
          footer={
            <>
              <Button onClick={() => setAsking(false)}>Keep it</Button>
              <Button look="danger" pending={revoke.isPending} onClick={() => revoke.mutate()}>
                Revoke {token.name}
              </Button>
            </>
          }
        >
          <p>Whatever uses this token is refused from now on.</p>
        </Dialog>
      )}
    </li>
  )
}
