import createClient from 'openapi-fetch'

import { ApiError, problemToError, unreachable } from './error'
import type { paths } from './schema'

// The client knows every path, parameter and body of the API by its types.
export const client = createClient<paths>({
  baseUrl: location.origin,
  credentials: 'same-origin',
  fetch: send,
})

let renewal: (() => Promise<boolean>) | undefined

// renewBy has a call that finds the session ended wait until it is renewed, and
// be made again, until the returned function is called.
export function renewBy(renew: () => Promise<boolean>): () => void {
  renewal = renew
  return () => {
    if (renewal === renew) renewal = undefined
  }
}

async function send(request: Request): Promise<Response> {
  const renew = new URL(request.url).pathname === '/auth/session' ? undefined : renewal
  const again = renew && request.clone()
  // Looked up at each call, so that a test can stand in for the network.
  const response = await globalThis.fetch(request)
  if (response.status !== 401 || !renew || !again) return response
  return (await renew()) ? globalThis.fetch(again) : response
}

const onSignedOut = new Set<() => void>()

// whenSignedOut calls back when a request finds that the session has ended.
export function whenSignedOut(callback: () => void): () => void {
  onSignedOut.add(callback)
  return () => onSignedOut.delete(callback)
}

client.use({
  onResponse: async ({ response, schemaPath }) => {
    if (response.ok) return
    const error = problemToError(response, await bodyOf(response))
    if (error.status === 401 && (renewal || !schemaPath.startsWith('/auth/'))) {
      for (const call of onSignedOut) call()
    }
    throw error
  },
  onError: ({ error }) => {
    const stopped = error instanceof DOMException && error.name === 'AbortError'
    return stopped || error instanceof ApiError ? error : unreachable()
  },
})

// answer is a call's data. Every failure is an ApiError.
export async function answer<Data>(
  call: Promise<{ data?: Data; response: Response }>,
): Promise<Data> {
  const { data, response } = await call.catch((error: unknown) => {
    if (error instanceof SyntaxError) {
      throw new ApiError(502, 'The control plane answered something that is no JSON.')
    }
    throw error
  })
  if (data === undefined && response.status !== 204) {
    throw new ApiError(response.status, 'The control plane answered nothing.')
  }
  return data as Data
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return await response.clone().json()
  } catch {
    return undefined
  }
}
