import { beginSession } from '@/api/calls'
import { ApiError, isStatus } from '@/api/error'
import type { Me } from '@/api/types'

import type { Auth } from './client'
import { authError } from './error'

// The code of a setup link or an invitation waits here, while its owner signs up
// with Supabase and opens a mail, perhaps in another tab.
const codeKey = 'mini-vercel.code'

export const pendingCode = (): string => localStorage.getItem(codeKey) ?? ''

export function rememberCode(code: string): void {
  if (code.trim() !== '') localStorage.setItem(codeKey, code.trim())
}

const signedOut = () => new ApiError(401, 'Sign in first.')

// accessToken is the one of this browser's Supabase session: a new one where it
// is about to end, or where fresh is asked for.
async function accessToken(auth: Auth, fresh = false): Promise<string> {
  const { data, error } = await (fresh ? auth.refreshSession() : auth.getSession())
  if (error) throw authError(error)
  if (!data.session) throw signedOut()
  return data.session.access_token
}

// enter begins the control plane's session, or prolongs it, by the Supabase
// session of this browser.
export async function enter(auth: Auth, options: { endOthers?: boolean } = {}): Promise<Me> {
  const code = pendingCode()
  const begin = async (fresh: boolean) =>
    beginSession({
      token: await accessToken(auth, fresh),
      ...(code === '' ? {} : { code }),
      ...options,
    })
  try {
    // What was issued before a new password does not count as from after it.
    const me = await begin(options.endOthers ?? false).catch((error: unknown) => {
      // The control plane's clock or keys may be ahead of this browser's.
      if (isStatus(error, 401)) return begin(true)
      throw error
    })
    localStorage.removeItem(codeKey)
    return me
  } catch (error) {
    // A code that was refused once is refused again.
    if (error instanceof ApiError && error.field('code')) localStorage.removeItem(codeKey)
    throw error
  }
}

// hasTokens reports whether this browser has a Supabase session, good or not.
export async function hasTokens(auth: Auth): Promise<boolean> {
  const { data } = await auth.getSession()
  return data.session !== null
}
