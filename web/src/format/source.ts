import type { Deployment } from '@/api/types'

// shortCommit cuts a commit hash to the seven digits that people read.
export function shortCommit(commit: string): string {
  return commit.slice(0, 7)
}

// title is the line by which a person knows a deployment.
export function title(deployment: Deployment): string {
  const text = deployment.source.message || deployment.message || ''
  const line = text.split('\n', 1)[0]?.trim()
  if (line) return line
  switch (deployment.kind) {
    case 'git':
      return deployment.source.branch ? `Branch ${deployment.source.branch}` : 'Git deployment'
    case 'archive':
      return 'Uploaded sources'
    case 'files':
      return 'Uploaded files'
  }
}

// nameOfRepository is the name that a git URL suggests for a project.
export function nameOfRepository(gitURL: string): string {
  const path = gitURL
    .trim()
    .replace(/[?#].*$/, '')
    .replace(/\/+$/, '')
  return (path.split(/[/:]/).pop() ?? '').replace(/\.git$/i, '')
}

// shortRepository is a git URL without what every one of them has.
export function shortRepository(gitURL: string): string {
  return gitURL.replace(/^https?:\/\//, '').replace(/\.git\/?$/, '')
}

// hostOf is the host of a URL as it is shown: without scheme and final slash.
export function hostOf(url: string): string {
  return url.replace(/^https?:\/\//, '').replace(/\/$/, '')
}
