import type { ReactNode } from 'react'

import type { DeploymentFilter } from '@/api/calls'
import type { Status } from '@/api/types'
import { statusWord } from '@/ui/StatusMark'

export const statuses: Status[] = ['QUEUED', 'IN_PROGRESS', 'READY', 'FAIL', 'CANCELED']

type DeploymentFiltersProps = {
  filter: DeploymentFilter
  branches: string[]
  onFilter: (name: keyof DeploymentFilter, value: string) => void
}

export function DeploymentFilters({ filter, branches, onFilter }: DeploymentFiltersProps) {
  return (
    <div className="flex flex-wrap gap-2">
      <Choice label="Status" value={filter.status} onChange={(value) => onFilter('status', value)}>
        <option value="">Any status</option>
        {statuses.map((status) => (
          <option key={status} value={status}>
            {statusWord(status)}
          </option>
        ))}
      </Choice>
      <Choice
        label="Environment"
        value={filter.environment}
        onChange={(value) => onFilter('environment', value)}
      >
        <option value="">Any environment</option>
        <option value="production">Production</option>
        <option value="preview">Preview</option>
      </Choice>
      {branches.length > 0 && (
        <Choice
          label="Branch"
          value={filter.branch}
          onChange={(value) => onFilter('branch', value)}
        >
          <option value="">Any branch</option>
          {branches.map((branch) => (
            <option key={branch}>{branch}</option>
          ))}
        </Choice>
      )}
    </div>
  )
}

type ChoiceProps = {
  label: string
  value: string | undefined
  onChange: (value: string) => void
  children: ReactNode
}

function Choice({ label, value = '', onChange, children }: ChoiceProps) {
  return (
    <select
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      className="field min-h-8 w-auto max-w-48 border-line-strong py-1 text-sm"
    >
      {children}
    </select>
  )
}
