import { request } from './request'
import type {
  BuildSettings,
  Deployment,
  Detection,
  EnvVar,
  Environment,
  File,
  Invitation,
  Me,
  NewToken,
  Page,
  Project,
  ProjectInput,
  ProjectPatch,
  Scope,
  Setup,
  System,
  Token,
  UploadURL,
} from './types'

const id = encodeURIComponent

export type DeploymentFilter = {
  status?: string | undefined
  branch?: string | undefined
  environment?: string | undefined
}

// Sign-in.
export const getMe = () => request<Me>('/auth/me')
export const getSetup = () => request<Setup>('/auth/setup')
export const signUp = (body: { email: string; password: string; name?: string; code?: string }) =>
  request<Me>('/auth/signup', { method: 'POST', body })
export const signIn = (body: { email: string; password: string }) =>
  request<Me>('/auth/login', { method: 'POST', body })
export const signOut = () => request<void>('/auth/logout', { method: 'POST' })
export const invite = () => request<Invitation>('/invitations', { method: 'POST', body: {} })

// Tokens.
export const getTokens = () => request<Page<Token>>('/tokens')
export const createToken = (body: { name: string; scope: Scope }) =>
  request<NewToken>('/tokens', { method: 'POST', body })
export const deleteToken = (tokenId: string) =>
  request<void>(`/tokens/${id(tokenId)}`, { method: 'DELETE' })

// Projects.
export const getProjects = (cursor?: string) =>
  request<Page<Project>>('/projects', { query: { limit: 100, cursor } })
export const getProject = (idOrSubDomain: string) =>
  request<Project>(`/projects/${id(idOrSubDomain)}`)
export const createProject = (body: ProjectInput) =>
  request<Project>('/projects', { method: 'POST', body })
export const updateProject = (projectId: string, body: ProjectPatch) =>
  request<Project>(`/projects/${id(projectId)}`, { method: 'PATCH', body })
export const deleteProject = (projectId: string) =>
  request<void>(`/projects/${id(projectId)}`, { method: 'DELETE' })
export const resumeProject = (projectId: string) =>
  request<Project>(`/projects/${id(projectId)}/resume`, { method: 'POST' })
export const detect = (
  body: { gitURL: string; branch?: string; rootDirectory?: string },
  signal?: AbortSignal,
) => request<Detection>('/detect', { method: 'POST', body, signal })

// Environment variables.
export type EnvVarInput = { value: string; secret: boolean; environments: Environment[] }
export const getEnv = (projectId: string) => request<Page<EnvVar>>(`/projects/${id(projectId)}/env`)
export const putEnvVar = (projectId: string, key: string, body: EnvVarInput) =>
  request<EnvVar>(`/projects/${id(projectId)}/env/${id(key)}`, { method: 'PUT', body })
export const deleteEnvVar = (projectId: string, key: string) =>
  request<void>(`/projects/${id(projectId)}/env/${id(key)}`, { method: 'DELETE' })

// Deployments.
export const getDeployments = (projectId: string, filter: DeploymentFilter, cursor?: string) =>
  request<Page<Deployment>>(`/projects/${id(projectId)}/deployments`, {
    query: { ...filter, limit: 50, cursor },
  })
export const getAllDeployments = (filter: DeploymentFilter, cursor?: string) =>
  request<Page<Deployment>>('/deployments', { query: { ...filter, limit: 50, cursor } })
export const getDeployment = (projectId: string, idOrHostId: string) =>
  request<Deployment>(`/projects/${id(projectId)}/deployments/${id(idOrHostId)}`)
export const getFiles = (deploymentId: string, prefix: string, cursor?: string) =>
  request<Page<File>>(`/deployments/${id(deploymentId)}/files`, {
    query: { prefix, limit: 100, cursor },
  })

export type DeployInput = {
  projectId: string
  branch?: string
  commit?: string
  environment?: Environment
  noCache?: boolean
}
export const deploy = (body: DeployInput, idempotencyKey: string) =>
  request<Deployment>('/deploy', {
    method: 'POST',
    body,
    headers: { 'Idempotency-Key': idempotencyKey },
  })
export const cancelDeployment = (deploymentId: string) =>
  request<Deployment>(`/deployments/${id(deploymentId)}/cancel`, { method: 'POST' })
export const promoteDeployment = (deploymentId: string) =>
  request<Deployment>(`/deployments/${id(deploymentId)}/promote`, { method: 'POST', body: {} })
export const retryDeployment = (deploymentId: string) =>
  request<Deployment>(`/deployments/${id(deploymentId)}/retry`, { method: 'POST' })
export const deleteDeployment = (deploymentId: string) =>
  request<void>(`/deployments/${id(deploymentId)}`, { method: 'DELETE' })

// An archive of sources.
export type ArchiveInput = {
  projectId: string
  kind: 'archive'
  message?: string
  environment?: Environment
  archiveSize: number
  archiveSHA256: string
}
export const createArchiveDeployment = (body: ArchiveInput) =>
  request<{ deployment: Deployment; upload: UploadURL }>('/deployments', { method: 'POST', body })
export const publishDeployment = (deploymentId: string) =>
  request<Deployment>(`/deployments/${id(deploymentId)}/publish`, { method: 'POST' })

export const getSystem = () => request<System>('/system')

export const settingNames = [
  'rootDirectory',
  'framework',
  'installCommand',
  'buildCommand',
  'outputDirectory',
  'nodeVersion',
] as const satisfies readonly (keyof BuildSettings)[]

// Addresses that the browser opens itself.
export const eventsURL = () => '/events'
export const logStreamURL = (deploymentId: string, after: string | undefined) =>
  `/deployments/${id(deploymentId)}/logs/stream${after ? `?after=${id(after)}` : ''}`
export const logDownloadURL = (deploymentId: string) =>
  `/deployments/${id(deploymentId)}/logs?format=text`
