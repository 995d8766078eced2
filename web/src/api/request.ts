import { ApiError, problemToError, unreachable } from './error'

type Options = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  query?: Record<string, string | number | undefined>
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
}

const onSignedOut = new Set<() => void>()

// whenSignedOut calls back when a request finds that the session has ended.
export function whenSignedOut(callback: () => void): () => void {
  onSignedOut.add(callback)
  return () => onSignedOut.delete(callback)
}

// request calls the API and returns the answer's JSON; every failure is an
// ApiError.
export async function request<Answer>(path: string, options: Options = {}): Promise<Answer> {
  const url = new URL(path, location.origin)
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value))
  }
  const init: RequestInit = {
    method: options.method ?? 'GET',
    credentials: 'same-origin',
    headers: { Accept: 'application/json', ...options.headers },
    signal: options.signal ?? null,
  }
  if (options.body !== undefined) {
    init.headers = { ...init.headers, 'Content-Type': 'application/json' }
    init.body = JSON.stringify(options.body)
  }
  const response = await fetch(url, init).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw unreachable()
  })
  const text = await response.text()
  const body = parse(text)
  if (!response.ok) {
    const error = problemToError(response, body)
    if (error.status === 401 && !path.startsWith('/auth/')) onSignedOut.forEach((call) => call())
    throw error
  }
  if (text !== '' && body === undefined) {
    throw new ApiError(response.status, 'The control plane answered something that is no JSON.')
  }
  return body as Answer
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
