import type { Deployment, Phase } from '@/api/types'

// What a phase is called where people read it.
export const phaseNames: Record<Phase, string> = {
  clone: 'Clone',
  detect: 'Detect',
  install: 'Install',
  build: 'Build',
  process: 'Process',
  upload: 'Upload',
  publish: 'Publish',
}

const all: Phase[] = ['clone', 'detect', 'install', 'build', 'process', 'upload', 'publish']

// phasesOf lists the phases that a deployment goes through, in their order.
export function phasesOf(kind: Deployment['kind']): Phase[] {
  return kind === 'files' ? ['upload', 'publish'] : all
}

export function phaseName(phase: Phase, kind: Deployment['kind']): string {
  return phase === 'clone' && kind === 'archive' ? 'Unpack' : phaseNames[phase]
}
