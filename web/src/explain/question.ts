// A Question is what is asked on the page: a request, as its form holds it.
export type Question = { url: string; method: string; acceptEncoding: string }

export function questionOf(search: URLSearchParams): Question {
  return {
    url: search.get('url') ?? '',
    method: search.get('method') ?? 'GET',
    acceptEncoding: search.get('encoding') ?? '',
  }
}

// searchOf leaves out what is as it is anyway.
export function searchOf({ url, method, acceptEncoding }: Question): URLSearchParams {
  const search = new URLSearchParams()
  if (url !== '') search.set('url', url)
  if (method !== 'GET') search.set('method', method)
  if (acceptEncoding !== '') search.set('encoding', acceptEncoding)
  return search
}

// addressOf makes an address of what was typed: a path is one of the project's
// own host.
export function addressOf(typed: string, home: string): string {
  const text = typed.trim()
  return text.startsWith('/') ? home + text : text
}
