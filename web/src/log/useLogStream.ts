import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'

import { logStreamURL } from '@/api/calls'
import type { Deployment, LogLine } from '@/api/types'

import { LogBuffer } from './buffer'

export type StreamState = 'loading' | 'following' | 'ended' | 'interrupted'

type LogHistory = { delayed: boolean }

type Target = { id: string; projectId: string; hostId: string }

const reopenMilliseconds = 3000

// useLogStream follows a deployment's log from its first line until the
// deployment has ended. A component that shows another deployment must be a new
// one, with a key. State changes that come with the log go into the query
// cache, so that page and log never disagree.
export function useLogStream({ id, projectId, hostId }: Target) {
  const queryClient = useQueryClient()
  const [buffer] = useState(() => new LogBuffer())
  const [state, setState] = useState<StreamState>('loading')
  const [delayed, setDelayed] = useState(false)

  useEffect(() => {
    let source: EventSource
    let timer: number | undefined

    const open = () => {
      source = new EventSource(logStreamURL(id, buffer.cursor()))
      source.addEventListener('open', () => {
        setState('following')
        setDelayed(false) // or it is said again
      })
      source.addEventListener('line', (event: MessageEvent<string>) => {
        buffer.append(JSON.parse(event.data) as LogLine)
      })
      source.addEventListener('state', (event: MessageEvent<string>) => {
        const deployment = JSON.parse(event.data) as Deployment
        queryClient.setQueryData<Deployment>(['deployment', projectId, hostId], (known) =>
          known && Date.parse(known.updatedAt) > Date.parse(deployment.updatedAt)
            ? known
            : deployment,
        )
      })
      source.addEventListener('history', (event: MessageEvent<string>) => {
        setDelayed((JSON.parse(event.data) as LogHistory).delayed)
      })
      source.addEventListener('end', () => {
        source.close()
        setState('ended')
      })
      source.addEventListener('error', () => {
        setState('interrupted')
        // A lost connection the browser opens again by itself, from the last
        // line on. After an answer that is no stream it gives up.
        if (source.readyState === EventSource.CLOSED)
          timer = window.setTimeout(open, reopenMilliseconds)
      })
    }
    open()
    return () => {
      window.clearTimeout(timer)
      source.close()
    }
  }, [buffer, id, projectId, hostId, queryClient])

  return { buffer, state, delayed }
}
