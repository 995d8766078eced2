import type { GoTrueClient } from '@supabase/supabase-js'

import type { SupabaseProject } from '@/api/types'

// Auth is the part of supabase-js that signs people in.
export type Auth = GoTrueClient

// Where supabase-js keeps its tokens in this browser.
export const storageKey = 'mini-vercel.supabase'

let made: { of: string; client: Promise<Auth> } | undefined

// authClient is supabase-js for the project of this control plane. Its code is
// asked for when the first page needs it.
export function authClient(project: SupabaseProject): Promise<Auth> {
  const of = `${project.url} ${project.anonKey}`
  if (made?.of !== of) {
    const client = load(project)
    made = { of, client }
    // Whoever tries again asks for the code again.
    client.catch(() => (made = undefined))
  }
  return made.client
}

async function load({ url, anonKey }: SupabaseProject): Promise<Auth> {
  const { AuthClient } = await import('@supabase/supabase-js')
  return new AuthClient({
    url: `${url}/auth/v1`,
    headers: { apikey: anonKey, Authorization: `Bearer ${anonKey}` },
    storageKey,
    // A link in a mail leads back with a code for this browser alone, instead of
    // with tokens in the address. Pages look for it themselves: a code of ours
    // is none of Supabase's business.
    flowType: 'pkce',
    detectSessionInUrl: false,
    // renewal.ts does that, and tells the control plane.
    autoRefreshToken: false,
  })
}

// forgetTokens takes the tokens out of this browser, whatever Supabase says.
export function forgetTokens(): void {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(storageKey)) localStorage.removeItem(key)
  }
}
