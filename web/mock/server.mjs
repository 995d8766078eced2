// A stand-in for the control plane while working on the dashboard's looks:
//   node mock/server.mjs & npm run dev      (MOCK=empty: nothing there yet)
import { createServer } from 'node:http'

import {
  at,
  deployment,
  deployments,
  domain,
  domains,
  env,
  project,
  projects,
  tokens,
} from './data.mjs'
import { history, live } from './log.mjs'

const port = Number(process.env.PORT ?? 9000)
const empty = process.env.MOCK === 'empty'
let signedIn = process.env.MOCK !== 'signed-out'
const listeners = new Set()

const warning =
  'Builds run as another user without a network of their own: they can reach this machine’s services.'
const isolation = {
  where: 'the control plane’s machine',
  mode: 'bubblewrap',
  network: 'shared',
  warnings: [warning],
}
const me = () => ({
  user: { id: 'u1', email: 'ada@example.com', name: 'Ada', admin: true },
  scope: 'admin',
  signup: 'invite',
  isolation,
  needsSetup: false,
  baseDomain: 'localhost',
  siteURLPattern: 'http://{subDomain}.localhost:8001',
  version: '0.1.0',
})
const of = (one) => deployments.filter(({ projectId }) => projectId === one.id)
const withDeployments = (one) => ({
  ...one,
  latest: of(one).toSorted((a, b) => b.createdAt.localeCompare(a.createdAt))[0],
  production: of(one).find(({ inProduction }) => inProduction),
})
const findProject = (key) => projects.find(({ id, subDomain }) => id === key || subDomain === key)
const findDeployment = (key) => deployments.find(({ id, hostId }) => id === key || hostId === key)
const filtered = (list, query) =>
  list
    .filter((d) => !query.get('status') || d.status === query.get('status'))
    .filter((d) => !query.get('branch') || d.source.branch === query.get('branch'))
    .filter((d) => !query.get('environment') || d.environment === query.get('environment'))
    .toSorted((a, b) => b.createdAt.localeCompare(a.createdAt))

function change(d) {
  const data = JSON.stringify({
    type: 'deployment',
    project: d.projectId,
    deployment: d.id,
    status: d.status,
  })
  for (const response of listeners) response.write(`event: change\ndata: ${data}\n\n`)
}

const looked = (host) => ({
  ...domains.find((one) => one.host === host),
  checkedAt: new Date().toISOString(),
})

const problem = (status, detail, errors) => ({
  status,
  body: { type: 'about:blank', title: detail, status, detail, errors },
})
const ok = (body, status = 200) => ({ status, body })

const routes = [
  [
    'GET',
    '/auth/setup',
    () => ok({ needsSetup: process.env.MOCK === 'signed-out', signup: 'invite' }),
  ],
  ['GET', '/auth/me', () => (signedIn ? ok(me()) : problem(401, 'you are not signed in'))],
  [
    'POST',
    '/auth/login',
    ({ body }) =>
      body.password === 'wrong'
        ? problem(401, 'email or password are wrong')
        : ((signedIn = true), ok(me())),
  ],
  ['POST', '/auth/signup', () => ((signedIn = true), ok(me(), 201))],
  ['POST', '/auth/logout', () => ((signedIn = false), ok(undefined, 204))],
  ['GET', '/projects', () => ok({ items: empty ? [] : projects.map(withDeployments) })],
  [
    'POST',
    '/projects',
    ({ body }) => {
      if (body.name === 'taken')
        return problem(422, 'validation failed', [{ field: 'name', message: 'is taken' }])
      const one = project(body.name, body)
      projects.unshift(one)
      return ok(one, 201)
    },
  ],
  [
    'POST',
    '/detect',
    async ({ body }) => {
      await new Promise((resolve) => setTimeout(resolve, 900))
      if (body.gitURL.includes('private'))
        return problem(
          422,
          'the repository could not be read: it does not exist, or it is private',
          [{ field: 'gitURL', message: 'could not be read: it does not exist, or it is private' }],
        )
      return ok({
        framework: 'vite',
        frameworkName: 'Vite',
        packageManager: 'npm',
        installCommand: 'npm ci',
        buildCommand: 'npm run build',
        outputDirectory: 'dist',
        nodeVersion: '20',
        branches: ['main', 'next'],
        defaultBranch: 'main',
        commit: '4f2c9ab1d2e3',
        message: 'Show the price with tax in the cart',
      })
    },
  ],
  [
    'GET',
    '/projects/:key',
    ({ key }) =>
      findProject(key) ? ok(withDeployments(findProject(key))) : problem(404, 'no such project'),
  ],
  [
    'PATCH',
    '/projects/:key',
    ({ key, body }) => ok(withDeployments(Object.assign(findProject(key), body))),
  ],
  [
    'POST',
    '/projects/:key/resume',
    ({ key }) => ok(Object.assign(findProject(key), { pinned: false })),
  ],
  [
    'GET',
    '/explain',
    ({ query }) =>
      ok({
        url: query.get('url'),
        method: query.get('method') ?? 'GET',
        acceptEncoding: 'gzip, deflate, br, zstd',
        status: 301,
        answer: '301 to /new',
        location: '/new',
        projectId: 'p1',
        project: 'blog',
        steps: [
          { step: 'host', text: 'blog.localhost is the production host of blog', lines: [] },
          {
            step: 'rule',
            text: "/old is this rule's path; it is redirected",
            lines: [{ file: '_redirects', line: 3, text: '/old /new 301' }],
            decides: true,
          },
        ],
        headers: [{ name: 'Location', values: ['/new'], lines: [] }],
        cache: { state: 'memory', text: 'the edge has it in memory' },
      }),
  ],
  ['GET', '/projects/:key/env', () => ok({ items: env })],
  [
    'PUT',
    '/projects/:key/env/:name',
    ({ name, body }) => {
      env.splice(env.findIndex(({ key }) => key === name) >>> 0, 1)
      env.push({
        key: name,
        ...body,
        value: body.secret ? undefined : body.value,
        updatedAt: at(0),
      })
      return ok(env.at(-1))
    },
  ],
  [
    'DELETE',
    '/projects/:key/env/:name',
    ({ name }) => (
      env.splice(env.findIndex(({ key }) => key === name) >>> 0, 1),
      ok(undefined, 204)
    ),
  ],
  ['GET', '/projects/:key/domains', () => ok({ items: empty ? [] : domains })],
  [
    'POST',
    '/projects/:key/domains',
    ({ body }) =>
      body.host.includes('://')
        ? problem(422, 'Some fields are not valid.', [
            {
              field: 'host',
              message: 'Give the name alone, without https:// and path, such as www.example.com.',
            },
          ])
        : (domains.push(domain(body.host)), ok(domains.at(-1), 201)),
  ],
  ['GET', '/projects/:key/domains/:host', ({ host }) => ok(looked(host))],
  [
    'POST',
    '/projects/:key/domains/:host/verify',
    async ({ host }) => {
      await new Promise((resolve) => setTimeout(resolve, 900))
      return ok(looked(host))
    },
  ],
  [
    'DELETE',
    '/projects/:key/domains/:host',
    ({ host }) => (
      domains.splice(domains.findIndex((one) => one.host === host) >>> 0, 1),
      ok(undefined, 204)
    ),
  ],
  [
    'GET',
    '/projects/:key/deployments',
    ({ key, query }) => ok({ items: filtered(of(findProject(key)), query) }),
  ],
  [
    'GET',
    '/projects/:key/deployments/:name',
    ({ name }) =>
      findDeployment(name) ? ok(findDeployment(name)) : problem(404, 'no such deployment'),
  ],
  ['GET', '/deployments', ({ query }) => ok({ items: empty ? [] : filtered(deployments, query) })],
  [
    'POST',
    '/deploy',
    ({ body }) => {
      const one = findProject(body.projectId)
      const d = deployment(one, {
        status: 'IN_PROGRESS',
        running: 'install',
        created: 1500,
        source: { branch: 'main' },
      })
      deployments.unshift(d)
      change(d)
      return ok(d, 202)
    },
  ],
  [
    'POST',
    '/deployments/:key/cancel',
    ({ key }) => {
      const d = Object.assign(findDeployment(key), {
        status: 'CANCELED',
        endedAt: at(0),
        reason: 'canceled by ada@example.com',
      })
      change(d)
      return ok(d)
    },
  ],
  [
    'POST',
    '/deployments/:key/promote',
    ({ key }) => {
      const d = findDeployment(key)
      for (const other of deployments)
        if (other.projectId === d.projectId) other.inProduction = other === d
      change(d)
      return ok(d)
    },
  ],
  [
    'GET',
    '/deployments/:key/files',
    () =>
      ok({
        items: Array.from({ length: 30 }, (_, n) => ({
          path: n === 0 ? '/index.html' : `/assets/chunk-${n}-Bk3xQ${n}.js`,
          size: n * 4321 + 612,
          contentType: n === 0 ? 'text/html; charset=utf-8' : 'text/javascript',
        })),
        next: 'more',
      }),
  ],
  ['GET', '/tokens', () => ok({ items: tokens })],
  [
    'POST',
    '/tokens',
    ({ body }) => (
      tokens.push({ id: `t${tokens.length + 1}`, ...body, createdAt: at(0) }),
      ok({ ...tokens.at(-1), token: 'mv_3f9aX1c0dQm7pL2sK8vT5wZr4nB6yH0e' }, 201)
    ),
  ],
  [
    'POST',
    '/invitations',
    () => ok({ code: 'x', url: 'http://localhost:9000/dashboard/signup#code=7FK2-9QXM' }, 201),
  ],
  [
    'GET',
    '/system',
    () =>
      ok({
        version: '0.1.0',
        isolation,
        parts: [
          { name: 'database', engine: 'SQLite', status: 'ok' },
          { name: 'bucket', engine: 'a directory', status: 'ok' },
          { name: 'logs', engine: 'SQLite', status: 'ok' },
        ],
      }),
  ],
]

const compiled = routes.map(([method, path, handle]) => ({
  method,
  pattern: new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`),
  handle,
}))

function stream(response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  response.flushHeaders()
}

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost')
  if (url.pathname === '/events') {
    stream(response)
    listeners.add(response)
    request.on('close', () => listeners.delete(response))
    return
  }
  const log = /^\/deployments\/([^/]+)\/logs\/stream$/.exec(url.pathname)
  if (log) {
    const d = findDeployment(log[1])
    stream(response)
    const lines = d.status === 'QUEUED' ? [] : history(d, Number(process.env.LONG ?? 0))
    const send = (one) =>
      response.write(`event: line\nid: 1-${one.seq}\ndata: ${JSON.stringify(one)}\n\n`)
    for (const one of lines) send(one)
    if (d.status !== 'IN_PROGRESS') return response.write('event: end\ndata: {}\n\n')
    let seq = lines.length
    const timer = setInterval(
      () => {
        if (d.status !== 'IN_PROGRESS') {
          clearInterval(timer)
          response.write(`event: state\ndata: ${JSON.stringify(d)}\n\nevent: end\ndata: {}\n\n`)
        } else send(live(d, ++seq))
      },
      Number(process.env.PACE ?? 700),
    )
    request.on('close', () => clearInterval(timer))
    return
  }
  let text = ''
  for await (const chunk of request) text += chunk
  const route = compiled.find(
    ({ method, pattern }) => method === request.method && pattern.test(url.pathname),
  )
  const answer = route
    ? await route.handle({
        ...route.pattern.exec(url.pathname).groups,
        query: url.searchParams,
        body: text ? JSON.parse(text) : {},
      })
    : problem(404, 'the mock has no such path')
  response.writeHead(answer.status, {
    'Content-Type': answer.status >= 400 ? 'application/problem+json' : 'application/json',
  })
  response.end(answer.body === undefined ? '' : JSON.stringify(answer.body))
}).listen(port, '127.0.0.1')
