import type { AuthError } from '@supabase/supabase-js'

import { ApiError } from '@/api/error'

export const supabaseAway = 'Supabase does not answer. Try again in a moment.'

const at = (field: string, text: string) => new ApiError(422, text, [{ field, message: text }])

// authError is what Supabase refused, in the form that every other refusal has:
// at the field that it is about.
export function authError({ code, message, name, status }: AuthError): ApiError {
  if (name === 'AuthRetryableFetchError') return new ApiError(0, supabaseAway)
  switch (code) {
    case 'invalid_credentials':
      return new ApiError(401, 'This address and password do not belong together.')
    case 'email_not_confirmed':
      return at(
        'email',
        'This address is not confirmed yet: open the link in the mail that was sent to it.',
      )
    case 'user_already_exists':
    case 'email_exists':
      return at('email', 'There is an account with this address: sign in.')
    case 'email_address_invalid':
    case 'email_address_not_authorized':
      return at('email', 'Supabase does not take this address.')
    case 'weak_password':
      return at('password', message)
    case 'same_password':
      return at('password', 'This is the password that you have: choose another.')
    case 'reauthentication_needed':
    case 'reauthentication_not_valid':
      return new ApiError(401, 'Your sign-in is too old for this. Ask for a link by mail instead.')
    case 'signup_disabled':
    case 'email_provider_disabled':
      return new ApiError(403, 'Supabase lets nobody sign up at the moment: ask the operator.')
    case 'user_banned':
      return new ApiError(403, 'Supabase has shut this account out: ask the operator.')
    case 'over_email_send_rate_limit':
      return new ApiError(429, 'Too many mails were asked for. Try again later.')
    case 'over_request_rate_limit':
      return new ApiError(429, 'Too many requests. Try again in a few minutes.')
    case 'otp_expired':
    case 'flow_state_not_found':
    case 'flow_state_expired':
    case 'bad_code_verifier':
      return new ApiError(410, 'This link is no longer good, or was opened before.')
  }
  if (name === 'AuthPKCECodeVerifierMissingError') {
    return new ApiError(410, 'This link was asked for in another browser.')
  }
  if (name === 'AuthSessionMissingError' || ended.has(code ?? '')) {
    return new ApiError(401, 'Your sign-in has ended.')
  }
  return new ApiError(status ?? 0, message)
}

const ended = new Set([
  'bad_jwt',
  'refresh_token_already_used',
  'refresh_token_not_found',
  'session_expired',
  'session_not_found',
  'user_not_found',
])
