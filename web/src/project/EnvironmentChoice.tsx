import type { Environment } from '@/api/types'
import { CheckField } from '@/ui/Field'

export type Where = Environment[]

const all: { environment: Environment; label: string }[] = [
  { environment: 'production', label: 'Production' },
  { environment: 'preview', label: 'Preview' },
]

type EnvironmentChoiceProps = { value: Where; onChange: (where: Where) => void }

export function EnvironmentChoice({ value, onChange }: EnvironmentChoiceProps) {
  return (
    <fieldset className="flex flex-wrap gap-x-6">
      <legend className="text-sm font-medium">Environments</legend>
      {all.map(({ environment, label }) => (
        <CheckField
          key={environment}
          label={label}
          checked={value.includes(environment)}
          onChange={(event) =>
            onChange(
              all
                .map((one) => one.environment)
                .filter((one) =>
                  one === environment ? event.target.checked : value.includes(one),
                ),
            )
          }
        />
      ))}
    </fieldset>
  )
}
