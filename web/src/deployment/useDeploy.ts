import { useMutation } from '@tanstack/react-query'
import { useRef } from 'react'
import { useNavigate } from 'react-router'

import { deploy, type DeployInput } from '@/api/calls'
import type { Project } from '@/api/types'
import { paths } from '@/paths'
import { toast } from '@/ui/toast'

// useDeploy queues a deployment from git and goes to its page. A second press
// before the answer is the same request: it has the same key.
export function useDeploy(project: Pick<Project, 'subDomain'>) {
  const navigate = useNavigate()
  const key = useRef<string>(undefined)
  return useMutation({
    mutationFn: (input: DeployInput) => {
      key.current ??= randomKey()
      return deploy(input, key.current)
    },
    onSuccess: (deployment) => {
      key.current = undefined
      void navigate(paths.deployment(project, deployment))
    },
    onError: toast.failed,
  })
}

// crypto.randomUUID is there in secure contexts only; a plain HTTP address in a
// local network is none.
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
