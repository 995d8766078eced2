import type { BuildSettings } from '@/api/types'

// The settings of a build that a person may give in place of what is detected.
export const settingNames = [
  'rootDirectory',
  'framework',
  'installCommand',
  'buildCommand',
  'outputDirectory',
  'nodeVersion',
] as const satisfies readonly (keyof BuildSettings)[]

export type SettingName = (typeof settingNames)[number]
