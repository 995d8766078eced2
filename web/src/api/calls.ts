import { answer, client } from './client'
import type { components, paths } from './schema'

type Schemas = components['schemas']
type Query<Path extends keyof paths> = paths[Path] extends {
  get: { parameters: { query?: infer Parameters } }
}
  ? NonNullable<Parameters>
  : never

export type DeploymentFilter = Omit<Query<'/deployments'>, 'limit' | 'cursor'>

const projectPage = 100
const deploymentPage = 50
const filePage = 100

// Sign-in.
export const getMe = () => answer(client.GET('/auth/me'))
export const getSetup = () => answer(client.GET('/auth/setup'))
export const signUp = (body: Schemas['SignUpInputBody']) =>
  answer(client.POST('/auth/signup', { body }))
export const signIn = (body: Schemas['SignInInputBody']) =>
  answer(client.POST('/auth/login', { body }))
export const beginSession = (body: Schemas['SupabaseSessionInputBody']) =>
  answer(client.POST('/auth/session', { body }))
export const signOut = () => answer(client.POST('/auth/logout'))
export const invite = () => answer(client.POST('/invitations', { body: {} }))

// Tokens.
export const getTokens = () => answer(client.GET('/tokens'))
export const createToken = (body: Schemas['TokenInputBody']) =>
  answer(client.POST('/tokens', { body }))
export const deleteToken = (id: string) =>
  answer(client.DELETE('/tokens/{id}', { params: { path: { id } } }))

// Projects.
export const getProjects = (cursor?: string) =>
  answer(
    client.GET('/projects', {
      params: { query: { limit: projectPage, ...(cursor ? { cursor } : {}) } },
    }),
  )
export const getProject = (idOrSubDomain: string) =>
  answer(client.GET('/projects/{id}', { params: { path: { id: idOrSubDomain } } }))
export const createProject = (body: Schemas['ProjectBody']) =>
  answer(client.POST('/projects', { body }))
export const updateProject = (id: string, body: Schemas['ProjectPatchBody']) =>
  answer(client.PATCH('/projects/{id}', { params: { path: { id } }, body }))
export const deleteProject = (id: string) =>
  answer(client.DELETE('/projects/{id}', { params: { path: { id } } }))
export const resumeProject = (id: string) =>
  answer(client.POST('/projects/{id}/resume', { params: { path: { id } } }))
export const suspendProject = (id: string) =>
  answer(client.POST('/projects/{id}/suspend', { params: { path: { id } } }))
export const unsuspendProject = (id: string) =>
  answer(client.POST('/projects/{id}/unsuspend', { params: { path: { id } } }))
export const setAccess = (id: string, body: Schemas['AccessInputBody']) =>
  answer(client.PUT('/projects/{id}/access', { params: { path: { id } }, body }))
export const removeAccess = (id: string) =>
  answer(client.DELETE('/projects/{id}/access', { params: { path: { id } } }))
export const createShareLink = (id: string, body: Schemas['ShareInputBody']) =>
  answer(client.POST('/projects/{id}/share-links', { params: { path: { id } }, body }))
export const detect = (body: Schemas['DetectInputBody'], signal: AbortSignal) =>
  answer(client.POST('/detect', { body, signal }))

// Environment variables.
export const getEnv = (id: string) =>
  answer(client.GET('/projects/{id}/env', { params: { path: { id } } }))
export const putEnvVar = (id: string, key: string, body: Schemas['EnvVarBody']) =>
  answer(client.PUT('/projects/{id}/env/{key}', { params: { path: { id, key } }, body }))
export const replaceEnv = (id: string, items: Schemas['EnvVarItem'][]) =>
  answer(client.PUT('/projects/{id}/env', { params: { path: { id } }, body: { items } }))
export const deleteEnvVar = (id: string, key: string) =>
  answer(client.DELETE('/projects/{id}/env/{key}', { params: { path: { id, key } } }))

// Domains.
export const getDomains = (id: string) =>
  answer(client.GET('/projects/{id}/domains', { params: { path: { id } } }))
export const getDomain = (id: string, host: string) =>
  answer(client.GET('/projects/{id}/domains/{host}', { params: { path: { id, host } } }))
export const addDomain = (id: string, body: Schemas['DomainBody']) =>
  answer(client.POST('/projects/{id}/domains', { params: { path: { id } }, body }))
export const verifyDomain = (id: string, host: string) =>
  answer(client.POST('/projects/{id}/domains/{host}/verify', { params: { path: { id, host } } }))
export const removeDomain = (id: string, host: string) =>
  answer(client.DELETE('/projects/{id}/domains/{host}', { params: { path: { id, host } } }))

// Deployments.
export const getDeployments = (projectId: string, filter: DeploymentFilter, cursor?: string) =>
  answer(
    client.GET('/projects/{projectId}/deployments', {
      params: {
        path: { projectId },
        query: { ...filter, limit: deploymentPage, ...(cursor ? { cursor } : {}) },
      },
    }),
  )
export const getAllDeployments = (filter: DeploymentFilter, cursor?: string) =>
  answer(
    client.GET('/deployments', {
      params: { query: { ...filter, limit: deploymentPage, ...(cursor ? { cursor } : {}) } },
    }),
  )
export const getDeployment = (projectId: string, idOrHostId: string) =>
  answer(
    client.GET('/projects/{projectId}/deployments/{deployment}', {
      params: { path: { projectId, deployment: idOrHostId } },
    }),
  )
export const getFiles = (id: string, prefix: string, cursor?: string) =>
  answer(
    client.GET('/deployments/{id}/files', {
      params: {
        path: { id },
        query: { limit: filePage, ...(prefix ? { prefix } : {}), ...(cursor ? { cursor } : {}) },
      },
    }),
  )
export type DeployInput = Schemas['DeployInputBody']
export const deploy = (body: DeployInput, idempotencyKey: string) =>
  answer(
    client.POST('/deploy', { params: { header: { 'Idempotency-Key': idempotencyKey } }, body }),
  )
export const cancelDeployment = (id: string) =>
  answer(client.POST('/deployments/{id}/cancel', { params: { path: { id } } }))
export const promoteDeployment = (id: string, noGrace = false) =>
  answer(client.POST('/deployments/{id}/promote', { params: { path: { id } }, body: { noGrace } }))
export const retryDeployment = (id: string) =>
  answer(client.POST('/deployments/{id}/retry', { params: { path: { id } } }))
export const deleteDeployment = (id: string) =>
  answer(client.DELETE('/deployments/{id}', { params: { path: { id } } }))
export const createDeployment = (body: Schemas['UploadInputBody']) =>
  answer(client.POST('/deployments', { body }))
export const publishDeployment = (id: string) =>
  answer(client.POST('/deployments/{id}/publish', { params: { path: { id } } }))

export const getSystem = () => answer(client.GET('/system'))

// Addresses that the browser opens itself.
export const eventsURL = () => '/events'
export const logStreamURL = (deploymentId: string, after: string | undefined) =>
  `/deployments/${encodeURIComponent(deploymentId)}/logs/stream${after ? `?after=${after}` : ''}`
export const logDownloadURL = (deploymentId: string) =>
  `/deployments/${encodeURIComponent(deploymentId)}/logs?format=text`

// Why an address answers as it does.
export const explain = (question: { url: string; method: string; acceptEncoding: string }) => {
  const { url, acceptEncoding } = question
  const method = question.method as Query<'/explain'>['method']
  return answer(
    client.GET('/explain', {
      params: {
        query: { url, ...(method && { method }), ...(acceptEncoding && { acceptEncoding }) },
      },
    }),
  )
}
