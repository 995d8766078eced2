import type { QueryClient } from '@tanstack/react-query'

import type { Change } from './types'

// Relevance tells changes that a page must ask about from those that it needn't:
// lists show no phases, and the page of a deployment hears of them by its log.
export class Relevance {
  private running = new Set<string>()

  of({ deployment, status }: Change): boolean {
    if (!deployment) return true
    if (status !== 'IN_PROGRESS') {
      this.running.delete(deployment)
      return true
    }
    if (this.running.has(deployment)) return false
    this.running.add(deployment)
    return true
  }
}

// invalidate has everything asked for again that shows what has changed, and is
// on the page; the rest when it is shown the next time.
export function invalidate(queryClient: QueryClient, changes: Change[]): void {
  for (const project of new Set(changes.map((change) => change.project))) {
    for (const name of ['deployments', 'deployment', 'env', 'domains']) {
      void queryClient.invalidateQueries({ queryKey: [name, project] })
    }
  }
  // Every one of these shows parts of projects and deployments alike.
  for (const queryKey of [['projects'], ['project'], ['deployments', 'all']]) {
    void queryClient.invalidateQueries({ queryKey })
  }
}
