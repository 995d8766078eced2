export type FieldProblem = { field: string; message: string }

// ApiError is what the API answered instead of what was asked for (RFC 9457),
// or that it did not answer at all (status 0).
export class ApiError extends Error {
  readonly status: number
  readonly fields: FieldProblem[]
  readonly retryAfterSeconds: number | undefined

  constructor(
    status: number,
    message: string,
    fields: FieldProblem[] = [],
    retryAfterSeconds?: number,
  ) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.fields = fields
    this.retryAfterSeconds = retryAfterSeconds
  }

  field(name: string): string | undefined {
    return this.fields.find((problem) => problem.field === name)?.message
  }
}

type Problem = {
  title?: unknown
  detail?: unknown
  errors?: { field?: unknown; location?: unknown; message?: unknown }[] | null
}

// problemToError reads the body of an answer that is no success. The body may
// be anything: a proxy in between answers HTML, or nothing.
export function problemToError(response: Response, body: unknown): ApiError {
  const problem: Problem = body !== null && typeof body === 'object' ? body : {}
  const fields = (problem.errors ?? []).flatMap((entry) => {
    const field = entry.field ?? entry.location
    if (typeof field !== 'string' || typeof entry.message !== 'string') return []
    return [{ field: field.replace(/^body\./, ''), message: entry.message }]
  })
  const text = [problem.detail, problem.title].find(
    (part) => typeof part === 'string' && part !== '',
  )
  const retryAfter = Number(response.headers.get('Retry-After') ?? Number.NaN)
  return new ApiError(
    response.status,
    sentence(typeof text === 'string' ? text : fallback(response.status)),
    fields,
    Number.isFinite(retryAfter) ? retryAfter : undefined,
  )
}

// unreachable is the error of a request that got no answer.
export function unreachable(): ApiError {
  return new ApiError(0, 'The control plane does not answer.')
}

export function isStatus(error: unknown, status: number): boolean {
  return error instanceof ApiError && error.status === status
}

// messageOf is what a person reads about any error.
export function messageOf(error: unknown): string {
  if (error instanceof ApiError) {
    return error.status === 429 && error.retryAfterSeconds
      ? `${error.message} Try again in ${error.retryAfterSeconds} s.`
      : error.message
  }
  return error instanceof Error ? error.message : 'Something went wrong.'
}

// fieldErrors gives the message of each of the named fields, and the message
// for the form as a whole where some problem belongs to none of them.
export function fieldErrors<Name extends string>(
  error: unknown,
  names: readonly Name[],
): { of: Partial<Record<Name, string>>; form: string | undefined } {
  const of: Partial<Record<Name, string>> = {}
  if (!error) return { of, form: undefined }
  if (error instanceof ApiError) {
    for (const name of names) {
      const message = error.field(name)
      if (message) of[name] = sentence(message)
    }
    const placed = error.fields.every(({ field }) => names.some((name) => name === field))
    if (error.fields.length > 0 && placed) return { of, form: undefined }
  }
  return { of, form: messageOf(error) }
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(first) ? first : `${first}.`
}

function fallback(status: number): string {
  switch (status) {
    case 401:
      return 'You are not signed in.'
    case 403:
      return 'You are not allowed to do this.'
    case 404:
      return 'This does not exist, or is not yours.'
    case 413:
      return 'This is too large.'
    case 429:
      return 'Too many requests.'
    case 502:
    case 503:
    case 504:
      return 'The control plane is not available.'
    default:
      return `The control plane answered ${status}.`
  }
}
