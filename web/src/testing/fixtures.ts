import type { Deployment, Domain, LogLine, Project } from '@/api/types'

// What tests are about stands in them; the rest is here.
export function aDeployment(over: Partial<Deployment> = {}): Deployment {
  return {
    id: '4f2c9ab1-0000-4000-8000-000000000000',
    hostId: '4f2c9ab1',
    projectId: 'p1',
    kind: 'git',
    status: 'READY',
    environment: 'production',
    attempt: 1,
    phases: [],
    source: { branch: 'main', commit: '0123456789abcdef', message: 'Say hello', author: 'Ada' },
    files: 3,
    bytes: 2048,
    uploadedBlobs: 1,
    warnings: [],
    hosts: [],
    inProduction: false,
    createdAt: '2026-01-02T10:00:00Z',
    updatedAt: '2026-01-02T10:00:00Z',
    ...over,
  }
}

export function aProject(over: Partial<Project> = {}): Project {
  return {
    id: 'p1',
    name: 'Blog',
    subDomain: 'blog',
    userId: 'u1',
    productionBranch: 'main',
    hasCredentials: false,
    state: 'active',
    pinned: false,
    url: 'http://blog.localhost:8001',
    createdAt: '2026-01-01T10:00:00Z',
    updatedAt: '2026-01-01T10:00:00Z',
    ...over,
  }
}

export function aDomain(over: Partial<Domain> = {}): Domain {
  return {
    host: 'www.example.com',
    unicode: 'www.example.com',
    url: 'http://www.example.com:8001',
    state: 'pending',
    detail: 'Set these records.',
    primary: false,
    records: [
      {
        type: 'TXT',
        name: '_mini-vercel.www.example.com',
        value: 'abc123',
        seen: [],
        state: 'missing',
        detail: 'There is no such record.',
      },
      {
        type: 'CNAME',
        name: 'www.example.com',
        value: 'blog.example.dev',
        seen: ['old.example.net'],
        state: 'wrong',
        detail: 'It leads elsewhere.',
      },
    ],
    createdAt: '2026-01-01T10:00:00Z',
    checkedAt: '2026-01-01T10:00:00Z',
    ...over,
  }
}

export function aLine(seq: number, over: Partial<LogLine> = {}): LogLine {
  return {
    attempt: 1,
    seq,
    time: '2026-01-02T10:00:00Z',
    stream: 'stdout',
    phase: 'build',
    text: `line ${seq}`,
    ...over,
  }
}
