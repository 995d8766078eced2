import { QueryClient, infiniteQueryOptions, queryOptions } from '@tanstack/react-query'

import * as calls from './calls'
import { ApiError } from './error'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // Events invalidate what changed; this is the backstop.
      staleTime: 300_000,
      retry: (failures, error) => failures < 2 && (!(error instanceof ApiError) || mayPass(error)),
      retryDelay: (failures, error) =>
        error instanceof ApiError && error.retryAfterSeconds
          ? error.retryAfterSeconds * 1000
          : 500 * 2 ** failures,
      // The browser's own word about the network says nothing about a control
      // plane on the same machine.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
})

// mayPass reports whether the same request may succeed a little later.
function mayPass({ status }: ApiError): boolean {
  return status === 0 || status === 429 || status >= 500
}

const cursor = {
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last: { next?: string }) => last.next,
}

// The keys begin with what a change names, so that one prefix invalidates all
// that it touches.
export const queries = {
  me: () => queryOptions({ queryKey: ['me'], queryFn: calls.getMe }),
  setup: () => queryOptions({ queryKey: ['setup'], queryFn: calls.getSetup }),
  tokens: () => queryOptions({ queryKey: ['tokens'], queryFn: calls.getTokens }),
  system: () =>
    queryOptions({ queryKey: ['system'], queryFn: calls.getSystem, refetchInterval: 10_000 }),

  projects: () => queryOptions({ queryKey: ['projects'], queryFn: () => allProjects() }),
  project: (subDomain: string) =>
    queryOptions({
      queryKey: ['project', subDomain],
      queryFn: () => calls.getProject(subDomain),
    }),
  explain: (question: { url: string; method: string; acceptEncoding: string }) =>
    queryOptions({
      queryKey: ['explain', question],
      queryFn: () => calls.explain(question),
      // It is about this moment.
      staleTime: 0,
    }),
  env: (projectId: string) =>
    queryOptions({ queryKey: ['env', projectId], queryFn: () => calls.getEnv(projectId) }),

  domains: (projectId: string) =>
    queryOptions({
      queryKey: ['domains', projectId],
      queryFn: () => calls.getDomains(projectId),
    }),
  // What DNS says now: never from before.
  domain: (projectId: string, host: string) =>
    queryOptions({
      queryKey: ['domain', projectId, host],
      queryFn: () => calls.getDomain(projectId, host),
      staleTime: 0,
    }),

  deployments: (projectId: string, filter: calls.DeploymentFilter) =>
    infiniteQueryOptions({
      queryKey: ['deployments', projectId, filter],
      queryFn: ({ pageParam }) => calls.getDeployments(projectId, filter, pageParam),
      ...cursor,
    }),
  readyDeployments: (projectId: string) =>
    queryOptions({
      queryKey: ['deployments', projectId, 'ready'],
      queryFn: () => calls.getDeployments(projectId, { status: 'READY' }),
    }),
  allDeployments: (filter: calls.DeploymentFilter) =>
    infiniteQueryOptions({
      queryKey: ['deployments', 'all', filter],
      queryFn: ({ pageParam }) => calls.getAllDeployments(filter, pageParam),
      ...cursor,
    }),
  deployment: (projectId: string, hostId: string) =>
    queryOptions({
      queryKey: ['deployment', projectId, hostId],
      queryFn: () => calls.getDeployment(projectId, hostId),
    }),
  files: (deploymentId: string, prefix: string) =>
    infiniteQueryOptions({
      queryKey: ['files', deploymentId, prefix],
      queryFn: ({ pageParam }) => calls.getFiles(deploymentId, prefix, pageParam),
      // A deployment's files never change.
      staleTime: Number.POSITIVE_INFINITY,
      ...cursor,
    }),
}

// The projects page searches all of them, so it holds all of them.
async function allProjects() {
  const items = []
  let next: string | undefined
  do {
    const page = await calls.getProjects(next)
    items.push(...page.items)
    next = page.next
  } while (next)
  return items
}
