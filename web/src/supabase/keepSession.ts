import { renewBy } from '@/api/client'
import { live } from '@/api/live'

const marginMilliseconds = 105_000 // supabase-js refreshes 90 s before a token ends, we end 30 s after it
const leastMilliseconds = 15_000

let renewing: Promise<boolean> | undefined

function renew(): Promise<boolean> {
  renewing ??= import('./renew')
    .then((module) => module.renew())
    .finally(() => (renewing = undefined))
  return renewing
}

// keepSession prolongs a session in good time before it ends, and when a call
// finds that it has ended, until the returned function is called. The page loads
// supabase-js only then. onEnded is told that one must sign in again.
export function keepSession(endsAt: string, onEnded: () => void): () => void {
  let timer: number | undefined
  let stopped = false
  const later = (milliseconds: number) => {
    timer = window.setTimeout(
      () => {
        void renew().then(
          (renewed) => {
            if (!renewed && !stopped) onEnded()
          },
          // Supabase or the control plane is away.
          () => {
            if (!stopped) later(leastMilliseconds)
          },
        )
      },
      Math.max(leastMilliseconds, milliseconds),
    )
  }
  later(Date.parse(endsAt) - Date.now() - marginMilliseconds)
  const stop = renewBy(async () => {
    const renewed = await renew()
    // The streams had ended with the session.
    if (renewed && live.state() !== 'live') live.retry()
    return renewed
  })
  return () => {
    stopped = true
    window.clearTimeout(timer)
    stop()
  }
}
