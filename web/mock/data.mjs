// What the mock control plane knows: enough to look at every page and state.
const minute = 60_000
const now = Date.now()
export const at = (ago) => new Date(now - ago).toISOString()

let seed = 7
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647
const hex = (digits) =>
  Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('')
const uuid = () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`

const steps = [
  ['clone', 900],
  ['detect', 100],
  ['install', 14_200],
  ['build', 8_300],
  ['process', 2_100],
  ['upload', 1_400],
  ['publish', 200],
]

export function deployment(project, over = {}) {
  const id = uuid()
  const { created = 30 * minute, failedIn, running, ...rest } = over
  const status = rest.status ?? 'READY'
  const names = project.gitURL ? steps : steps.slice(-2)
  const phases = []
  let t = now - created + 800
  if (status !== 'QUEUED') {
    for (const [phase, ms] of names) {
      const open = phase === running
      phases.push({
        phase,
        startedAt: new Date(t).toISOString(),
        ...(open ? {} : { endedAt: new Date(t + ms).toISOString() }),
      })
      t += ms
      if (phase === failedIn || open) break
    }
  }
  const hostId = id.slice(0, 8)
  const host = (label) => ({ host: `${label}.localhost`, url: `http://${label}.localhost:8001` })
  const ready = status === 'READY'
  const branch = rest.source?.branch
  return {
    id,
    hostId,
    projectId: project.id,
    kind: project.gitURL ? 'git' : 'files',
    status,
    environment: 'production',
    attempt: status === 'QUEUED' ? 0 : 1,
    phase: phases.at(-1)?.phase,
    phases,
    source: {},
    files: ready ? 148 : 0,
    bytes: ready ? 2_412_345 : 0,
    uploadedBlobs: ready ? 12 : 0,
    warnings: [],
    url: ready ? project.url : undefined,
    deploymentUrl: host(`${hostId}--${project.subDomain}`).url,
    hosts: ready
      ? [
          ...(rest.inProduction ? [{ ...host(project.subDomain), role: 'production' }] : []),
          ...(branch
            ? [
                {
                  ...host(`git-${branch.replace(/\W/g, '-')}--${project.subDomain}`),
                  role: 'branch',
                },
              ]
            : []),
          { ...host(`${hostId}--${project.subDomain}`), role: 'deployment' },
        ]
      : [],
    inProduction: false,
    createdAt: at(created),
    updatedAt: at(created),
    startedAt: status === 'QUEUED' ? undefined : at(created - 800),
    endedAt: ['READY', 'FAIL', 'CANCELED'].includes(status) ? new Date(t).toISOString() : undefined,
    liveAt: ready ? new Date(t + 150).toISOString() : undefined,
    ...rest,
  }
}

export function project(subDomain, over = {}) {
  return {
    id: uuid(),
    name: subDomain,
    subDomain,
    userId: 'u1',
    productionBranch: 'main',
    hasCredentials: false,
    state: 'active',
    pinned: false,
    url: `http://${subDomain}.localhost:8001`,
    createdAt: at(40 * 24 * 60 * minute),
    updatedAt: at(minute),
    ...over,
  }
}

const commit = (message, author, branch = 'main', framework = 'vite') => ({
  message,
  author,
  branch,
  framework,
  commit: hex(40),
})

const blog = project('blog', {
  gitURL: 'https://github.com/ada/blog.git',
  framework: 'astro',
  pinned: true,
})
const shop = project('shop', { name: 'Shop', gitURL: 'https://github.com/acme/shop-frontend.git' })
const docs = project('docs', { gitURL: 'https://gitlab.com/acme/docs.git' })
const landing = project('landing-page', { name: 'Landing page' })
const fresh = project('fresh', { gitURL: 'https://github.com/ada/fresh.git' })
const handbook = project('handbook', { gitURL: 'https://github.com/acme/handbook.git' })

export const projects = [shop, blog, docs, landing, handbook, fresh]
export const deployments = [
  deployment(shop, {
    status: 'IN_PROGRESS',
    running: 'build',
    created: 16_500,
    source: commit('Show the price with tax in the cart', 'Grace Hopper'),
  }),
  deployment(shop, {
    status: 'QUEUED',
    created: 9_000,
    environment: 'preview',
    source: commit('Try a two-column checkout', 'Ada Lovelace', 'checkout/two-columns'),
  }),
  deployment(shop, {
    created: 45 * minute,
    inProduction: true,
    source: commit('Load product images lazily', 'Grace Hopper'),
  }),
  deployment(shop, {
    created: 3 * 60 * minute,
    environment: 'preview',
    source: commit('Filter by size and colour', 'Ada Lovelace', 'filters'),
  }),
  deployment(shop, {
    status: 'FAIL',
    failedIn: 'build',
    created: 5 * 60 * minute,
    reason: 'npm run build exited with code 1',
    source: commit('Upgrade to the new router', 'Alan Turing', 'router-8'),
  }),
  deployment(shop, {
    status: 'CANCELED',
    failedIn: 'install',
    created: 6 * 60 * minute,
    reason: 'superseded by a newer deployment of router-8',
    environment: 'preview',
    source: commit('Upgrade to the new router, first try', 'Alan Turing', 'router-8'),
  }),
  deployment(shop, {
    created: 26 * 60 * minute,
    source: commit('Correct the footer links', 'Grace Hopper'),
    warnings: [
      { file: '_redirects', line: 12, reason: 'has no destination, so it was left out' },
      { file: '_headers', line: 3, reason: 'names Content-Length, which can’t be set' },
    ],
  }),
  deployment(blog, {
    status: 'FAIL',
    failedIn: 'build',
    created: 20 * minute,
    reason: 'out of memory: the build used more than 4096 MiB',
    source: commit('Add a post about compilers', 'Ada Lovelace', 'main', 'astro'),
  }),
  deployment(blog, {
    created: 25 * 60 * minute,
    source: commit('Write about the analytical engine', 'Ada Lovelace', 'main', 'astro'),
  }),
  deployment(blog, {
    created: 3 * 24 * 60 * minute,
    inProduction: true,
    source: commit('New typeface', 'Ada Lovelace', 'main', 'astro'),
  }),
  deployment(docs, {
    created: 9 * 24 * 60 * minute,
    inProduction: true,
    source: commit('Describe the retry policy', 'Barbara Liskov', 'main', 'docusaurus'),
  }),
  deployment(landing, {
    created: 60 * 24 * 60 * minute,
    inProduction: true,
    message: 'Spring campaign',
  }),
  deployment(handbook, {
    created: 2 * 24 * 60 * minute,
    inProduction: true,
    source: commit('Holidays of next year', 'Barbara Liskov', 'main', 'hugo'),
  }),
]

export const env = [
  {
    key: 'API_URL',
    value: 'https://api.example.com',
    secret: false,
    environments: ['production', 'preview'],
    updatedAt: at(3 * 24 * 60 * minute),
  },
  {
    key: 'SENTRY_AUTH_TOKEN',
    secret: true,
    environments: ['production'],
    updatedAt: at(9 * minute),
  },
]
export const tokens = [
  {
    id: 't1',
    name: 'Command line on this machine',
    scope: 'admin',
    createdAt: at(40 * 24 * 60 * minute),
    lastUsedAt: at(4 * minute),
  },
  { id: 't2', name: 'CI of the blog', scope: 'deploy', createdAt: at(8 * 24 * 60 * minute) },
]

export function domain(host, over = {}) {
  const apex = host.split('.').length === 2
  const record = (type, name, value, rest) => ({ type, name, value, seen: [], ...rest })
  const missing = { state: 'missing', detail: 'There is no such record.' }
  return {
    host,
    unicode: host,
    url: `https://${host}`,
    state: 'pending',
    detail:
      'Set these records where the domain’s DNS is managed. They are looked up again by themselves.',
    primary: false,
    records: [
      record('TXT', `_mini-vercel.${host}`, '3f9a51c0dd4e7b12a86c5502f1e97b3d', missing),
      apex
        ? record('A', host, '192.0.2.10', missing)
        : record('CNAME', host, 'shop.example.dev', {
            seen: ['parking.registrar.example'],
            state: 'wrong',
            detail: 'It leads elsewhere.',
          }),
    ],
    certificate: {
      state: 'waiting',
      detail: 'An edge gets a certificate when the domain is verified.',
    },
    createdAt: at(60 * minute),
    checkedAt: at(10_000),
    ...over,
  }
}
const found = (one) => ({
  ...one,
  records: one.records.map((record) => ({
    ...record,
    detail: undefined,
    seen: [record.value],
    state: 'found',
  })),
})
export const domains = [
  domain('www.shop.example'),
  found(
    domain('xn--bcher-kva.example', {
      unicode: 'bücher.example',
      state: 'active',
      primary: true,
      detail: 'The domain leads to this project.',
      verifiedAt: at(50 * minute),
      certificate: {
        state: 'valid',
        issuer: 'Let’s Encrypt',
        expiresAt: at(-60 * 24 * 60 * minute),
        detail: 'Browsers trust the certificate. The edges renew it by themselves.',
      },
    }),
  ),
  found(
    domain('www.xn--bcher-kva.example', {
      unicode: 'www.bücher.example',
      redirectTo: 'xn--bcher-kva.example',
      state: 'active',
      detail: 'Visitors are redirected to bücher.example.',
    }),
  ),
  domain('old.shop.example', {
    state: 'missing',
    detail:
      'The records of this domain are gone. Set them again, or the domain stops answering a week after they went.',
    missingSince: at(2 * 24 * 60 * minute),
    stopsAt: at(-5 * 24 * 60 * minute),
  }),
  domain('very-old.shop.example', {
    state: 'stopped',
    detail:
      'The records of this domain were gone for a week, so it no longer answers. It comes back by itself when they are right again.',
  }),
]
