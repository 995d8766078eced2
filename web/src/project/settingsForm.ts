import type { Project, ProjectPatch } from '@/api/types'

// The settings as a form holds them: texts, empty where nothing is set.
const fields = [
  'name',
  'gitURL',
  'productionBranch',
  'rootDirectory',
  'framework',
  'installCommand',
  'buildCommand',
  'outputDirectory',
  'nodeVersion',
  'htmlHandling',
  'notFound',
  'strictRules',
  'earlyHints',
] as const

export type SettingsForm = Record<(typeof fields)[number], string>

export function formOf(project: Project): SettingsForm {
  const entries = fields.map((field) => [field, defaultless(String(project[field] ?? ''))])
  return Object.fromEntries(entries) as SettingsForm
}

// changesOf is what differs from the project, or undefined where nothing does.
export function changesOf(project: Project, form: SettingsForm): ProjectPatch | undefined {
  const before = formOf(project)
  const changed = fields.filter((field) => form[field].trim() !== before[field])
  if (changed.length === 0) return undefined
  return Object.fromEntries(
    changed.map((field) => [
      field,
      field === 'strictRules' || field === 'earlyHints'
        ? form[field] === 'true'
        : form[field].trim(),
    ]),
  )
}

// The names of the defaults mean the same as nothing set.
function defaultless(value: string): string {
  return ['auto-trailing-slash', 'auto', 'false'].includes(value) ? '' : value
}
