// Every address of the dashboard, in the names that people use: a project's
// subdomain and a deployment's host id.
type ProjectName = { subDomain: string }
type DeploymentName = { hostId: string }

const part = encodeURIComponent

export const paths = {
  projects: () => '/',
  newProject: () => '/new',
  deployments: () => '/deployments',
  account: () => '/account',
  system: () => '/system',
  login: (next?: string) => (next ? `/login?next=${part(next)}` : '/login'),
  signup: () => '/signup',
  confirm: () => '/confirm',
  reset: () => '/reset',
  newPassword: () => '/new-password',

  project: (project: ProjectName) => `/p/${part(project.subDomain)}`,
  env: (project: ProjectName) => `${paths.project(project)}/env`,
  domains: (project: ProjectName) => `${paths.project(project)}/domains`,
  explain: (project: ProjectName, url?: string) =>
    `${paths.project(project)}/explain${url ? `?url=${part(url)}` : ''}`,
  settings: (project: ProjectName) => `${paths.project(project)}/settings`,
  deployment: (project: ProjectName, deployment: DeploymentName) =>
    `${paths.project(project)}/d/${part(deployment.hostId)}`,
  logLine: (project: ProjectName, deployment: DeploymentName, line: number) =>
    `${paths.deployment(project, deployment)}#L${line}`,
}

// safeNext is where to go after signing in: a place within the dashboard, or
// its front page where the query names anything else.
export function safeNext(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) ? next : paths.projects()
}
