// The API's types under the names that the pages use.
export type Status = 'NOT_STARTED' | 'QUEUED' | 'IN_PROGRESS' | 'READY' | 'FAIL' | 'CANCELED'
export type Environment = 'production' | 'preview'
export type Phase = 'clone' | 'detect' | 'install' | 'build' | 'process' | 'upload' | 'publish'
export type Stream = 'stdout' | 'stderr' | 'system'
export type HTMLHandling =
  'auto-trailing-slash' | 'force-trailing-slash' | 'drop-trailing-slash' | 'none'
export type NotFound = 'auto' | '404-page' | 'single-page-application' | 'none'
export type Scope = 'read' | 'deploy' | 'admin'

export type BuildSettings = {
  rootDirectory?: string
  framework?: string
  installCommand?: string
  buildCommand?: string
  outputDirectory?: string
  nodeVersion?: string
  htmlHandling?: HTMLHandling
  notFound?: NotFound
}

export type Source = {
  repository?: string
  branch?: string
  commit?: string
  message?: string
  author?: string
  framework?: string
  builtAt?: string
}

export type PhaseTimes = { phase: Phase; startedAt: string; endedAt?: string }
export type Host = { host: string; url: string; role: 'production' | 'branch' | 'deployment' }
export type Warning = { file: string; line?: number; reason: string }

export type Deployment = {
  id: string
  hostId: string
  projectId: string
  kind: 'git' | 'archive' | 'files'
  status: Status
  reason?: string
  environment: Environment
  attempt: number
  phase?: Phase
  phases: PhaseTimes[]
  source: Source
  message?: string
  noCache?: boolean
  retryOf?: string
  files: number
  bytes: number
  uploadedBlobs: number
  warnings: Warning[]
  url?: string
  deploymentUrl?: string
  hosts: Host[]
  inProduction: boolean
  createdAt: string
  updatedAt: string
  startedAt?: string
  endedAt?: string
  liveAt?: string
}

export type Project = BuildSettings & {
  id: string
  name: string
  subDomain: string
  customDomain?: string
  userId: string
  gitURL?: string
  productionBranch: string
  hasCredentials: boolean
  state: 'active' | 'suspended' | 'deleted'
  pinned: boolean
  url: string
  createdAt: string
  updatedAt: string
  latest?: Deployment
  production?: Deployment
}

export type LogLine = {
  attempt: number
  seq: number
  time: string
  stream: Stream
  phase: Phase
  text: string
}

export type Change = {
  type: 'project' | 'deployment'
  project: string
  deployment?: string
  status?: Status
  phase?: Phase
  deleted?: boolean
}

export type Detection = {
  framework: string
  frameworkName: string
  packageManager?: string
  installCommand?: string
  buildCommand?: string
  outputDirectory: string
  nodeVersion?: string
  rootDirectories?: string[]
  branches?: string[]
  defaultBranch?: string
  commit?: string
  message?: string
}

export type Isolation = { mode: string; network: string; warnings: string[] }
export type User = { id: string; email: string; name?: string; admin: boolean }
export type Me = {
  user: User
  scope: Scope
  signup: 'invite' | 'open'
  isolation: Isolation
  needsSetup: boolean
  baseDomain: string
  siteURLPattern: string
  version: string
}
export type Setup = { needsSetup: boolean; signup: 'invite' | 'open' }

export type Token = {
  id: string
  name: string
  scope: Scope
  createdAt: string
  lastUsedAt?: string
}
export type NewToken = Token & { token: string }
export type Invitation = { code: string; url: string }

export type EnvVar = {
  key: string
  value?: string
  secret: boolean
  environments: Environment[]
  updatedAt: string
}

export type File = { path: string; size: number; contentType: string }
export type Page<T> = { items: T[]; next?: string }
export type UploadURL = {
  method: string
  url: string
  headers?: Record<string, string>
  expires: string
}

export type ProjectInput = BuildSettings & {
  name: string
  gitURL?: string
  subDomain?: string
  productionBranch?: string
}
export type ProjectPatch = Partial<ProjectInput>

export type SystemPart = { name: string; status: string; detail?: string }
export type System = { version: string; parts: SystemPart[]; isolation: Isolation }
