import type { BuildSettings, Detection } from '@/api/types'
import { shortCommit } from '@/format/source'
import { FrameworkLogo } from '@/frameworks/FrameworkLogo'
import type { SettingName } from '@/project/buildSettings'
import { Button } from '@/ui/Button'
import { Skeleton } from '@/ui/Loaded'
import { Spinner } from '@/ui/Spinner'

import { SettingRow } from './SettingRow'
import type { DetectionQuery } from './useDetection'

type DetectionCardProps = {
  detection: DetectionQuery
  problem: string | undefined
  settings: BuildSettings
  onSettings: (settings: BuildSettings) => void
  errors: Partial<Record<string, string>>
}

const rows: { name: SettingName; label: string; none: string }[] = [
  { name: 'rootDirectory', label: 'Root directory', none: 'The top of the repository' },
  { name: 'installCommand', label: 'Install', none: 'Nothing to install' },
  { name: 'buildCommand', label: 'Build', none: 'Nothing to build' },
  { name: 'outputDirectory', label: 'Output', none: 'Found after the build' },
  { name: 'nodeVersion', label: 'Node', none: 'As installed' },
]

// DetectionCard shows what was found in a repository. Every value can be
// changed in its place.
export function DetectionCard(props: DetectionCardProps) {
  const { detection, problem, settings, onSettings, errors } = props
  const { data, isFetching, error, refetch } = detection
  const change = (name: SettingName, value: string | undefined) => {
    const { [name]: _, ...rest } = settings
    onSettings(value === undefined ? rest : { ...rest, [name]: value })
  }
  return (
    <section aria-label="What was detected" aria-busy={isFetching} className="card">
      <Header data={data} isFetching={isFetching} failed={error !== null} />
      {error && !isFetching && (
        <div className="flex flex-wrap items-center justify-between gap-3 border-t border-line px-4 py-3">
          <p className="min-w-0 text-sm text-ink-2">
            {problem} You can deploy all the same: the build looks again.
          </p>
          <Button size="small" onClick={() => void refetch()}>
            Look again
          </Button>
        </div>
      )}
      <dl className="divide-y divide-line border-t border-line">
        {rows.map(({ name, label, none }) => (
          <SettingRow
            key={name}
            label={label}
            none={none}
            detected={data ? detectedOf(data, name) : undefined}
            known={data !== undefined}
            value={settings[name]}
            choices={name === 'rootDirectory' ? data?.rootDirectories : undefined}
            onChange={(value) => change(name, value)}
            error={errors[name]}
          />
        ))}
      </dl>
    </section>
  )
}

type HeaderProps = { data: Detection | undefined; isFetching: boolean; failed: boolean }

function Header({ data, isFetching, failed }: HeaderProps) {
  if (!data) {
    return (
      <header className="flex items-center gap-3 px-4 py-3">
        {isFetching ? <Skeleton className="size-9" /> : <FrameworkLogo size={36} />}
        <p className="text-ink-2" role="status">
          {isFetching
            ? 'Looking into the repository'
            : failed
              ? 'Could not look into the repository.'
              : 'Framework and commands show here once the address is whole.'}
        </p>
      </header>
    )
  }
  const { framework, frameworkName, packageManager, commit, message } = data
  return (
    <header className="flex items-center gap-3 px-4 py-3">
      <FrameworkLogo framework={framework} size={36} />
      <div className="min-w-0 grow" role="status">
        <p className="font-medium">
          {frameworkName}
          {packageManager && <span className="font-normal text-ink-3"> with {packageManager}</span>}
        </p>
        {commit && (
          <p className="truncate text-sm text-ink-3">
            <code className="font-mono text-xs">{shortCommit(commit)}</code>{' '}
            {message?.split('\n', 1)[0]}
          </p>
        )}
      </div>
      {isFetching && <Spinner size={16} />}
    </header>
  )
}

function detectedOf(data: Detection, name: SettingName): string | undefined {
  switch (name) {
    case 'rootDirectory':
      return undefined
    case 'framework':
      return data.framework
    default:
      return data[name]
  }
}
