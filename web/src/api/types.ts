import type { components } from './schema'

// The API's types under the names that the pages use. All of them are generated
// from the API's own document.
type Schemas = components['schemas']

export type Change = Schemas['Change']
export type Deployment = Schemas['Deployment']
export type Detection = Schemas['Detection']
export type DNSRecord = Schemas['DNSRecord']
export type Domain = Schemas['Domain']
export type EnvVar = Schemas['EnvVar']
export type Explanation = Schemas['Explanation']
export type Host = Schemas['Host']
export type Isolation = Schemas['Isolation']
export type LogLine = Schemas['LogLine']
export type Me = Schemas['Me']
export type PhaseTimes = Schemas['PhaseTimes']
export type Project = Schemas['Project']
export type ProjectInput = Schemas['ProjectBody']
export type ProjectPatch = Schemas['ProjectPatchBody']
export type BuildSettings = Schemas['BuildSettings']
export type RuleLine = Schemas['RuleLine']
export type SupabaseProject = Schemas['SupabaseProject']
export type SystemPart = Schemas['SystemPart']
export type Token = Schemas['APIToken']
export type UploadURL = Schemas['SignedURL']
export type User = Schemas['User']
export type Warning = Schemas['Warning']

export type AccessScope = Schemas['ProjectAccess']['scope']
export type Environment = Deployment['environment']
export type HTMLHandling = NonNullable<Project['htmlHandling']>
export type NotFound = NonNullable<Project['notFound']>
export type Phase = LogLine['phase']
export type Scope = Token['scope']
export type Status = Deployment['status']
export type Stream = LogLine['stream']
