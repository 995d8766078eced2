import { vi } from 'vitest'

type Answer = unknown
type Handler = (body: unknown, url: URL) => Answer | Promise<Answer>
type Asked = { method: string; path: string; body: unknown }

// problem answers with an error instead.
export class Problem {
  readonly status: number
  readonly body: unknown
  constructor(status: number, detail: string, errors: { field: string; message: string }[] = []) {
    this.status = status
    this.body = { title: detail, status, detail, errors }
  }
}

// serve answers the page's requests: the keys are "GET /projects", the values
// answers or functions that make them. It returns what was asked for.
export function serve(routes: Record<string, Handler | object>): Asked[] {
  const asked: Asked[] = []
  vi.stubGlobal('fetch', async (request: Request) => {
    const url = new URL(request.url)
    const text = await request.text()
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    asked.push({ method: request.method, path: url.pathname, body })
    const route = routes[`${request.method} ${url.pathname}`]
    const answer =
      route === undefined
        ? new Problem(404, 'no such path')
        : typeof route === 'function'
          ? await (route as Handler)(body, url)
          : route
    const status = answer instanceof Problem ? answer.status : answer === undefined ? 204 : 200
    const content = answer instanceof Problem ? answer.body : answer
    return new Response(content === undefined ? null : JSON.stringify(content), {
      status,
      headers: { 'Content-Type': 'application/json' },
    })
  })
  return asked
}
