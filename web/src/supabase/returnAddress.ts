import { paths } from '@/paths'

// returnAddress is where a link in a mail leads to. Supabase must have it among
// its redirect URLs.
export function returnAddress(page: 'confirm' | 'newPassword'): string {
  return `${location.origin}/dashboard${paths[page]()}`
}

// Returned is what a mail's link brought back.
export type Returned = { code: string; error: string | undefined }

export function returned(search: URLSearchParams): Returned {
  const failed = search.has('error') || search.has('error_code')
  return {
    code: search.get('code') ?? '',
    error: failed ? 'This link is no longer good, or was opened before.' : undefined,
  }
}
