import { Pencil, RotateCcw } from 'lucide-react'
import { useId, useState } from 'react'

import { IconButton } from '@/ui/Button'

type SettingRowProps = {
  label: string
  none: string // what stands there when there is no value
  detected: string | undefined
  known: boolean // detection has answered
  value: string | undefined // what a person has set instead
  choices: string[] | undefined
  onChange: (value: string | undefined) => void
  error: string | undefined
}

// SettingRow is one setting with its detected value, which a press turns into a
// field.
export function SettingRow(props: SettingRowProps) {
  const { label, none, detected, known, value, choices, onChange, error } = props
  const [editing, setEditing] = useState(false)
  const id = useId()
  const open = editing || value !== undefined
  return (
    <div className="flex min-h-11 flex-wrap items-center gap-x-4 px-4 py-1">
      <dt className="w-28 shrink-0 text-sm text-ink-3">
        <label htmlFor={open ? id : undefined}>{label}</label>
      </dt>
      <dd className="flex min-w-0 grow items-center gap-2">
        {open ? (
          <input
            id={id}
            list={choices ? `${id}-choices` : undefined}
            // oxlint-disable-next-line jsx-a11y/no-autofocus -- the press that opened it asked for it
            autoFocus={editing}
            autoComplete="off"
            spellCheck={false}
            aria-invalid={error ? true : undefined}
            placeholder={detected ?? none}
            value={value ?? detected ?? ''}
            onChange={(event) => onChange(event.target.value)}
            className="field min-h-8 py-1 font-mono text-sm"
          />
        ) : (
          <span className="min-w-0 grow truncate">
            {detected ? (
              <code className="font-mono text-sm">{detected}</code>
            ) : (
              <span className="text-sm text-ink-3">{known ? none : 'Detected in the build'}</span>
            )}
          </span>
        )}
        {choices && (
          <datalist id={`${id}-choices`}>
            {choices.map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
          </datalist>
        )}
        {open ? (
          <IconButton
            label={`Reset ${label.toLowerCase()}`}
            icon={<RotateCcw size={14} aria-hidden />}
            onClick={() => {
              setEditing(false)
              onChange(undefined)
            }}
          />
        ) : (
          <IconButton
            label={`Change ${label.toLowerCase()}`}
            icon={<Pencil size={14} aria-hidden />}
            onClick={() => setEditing(true)}
          />
        )}
      </dd>
      {error && (
        <p role="alert" className="w-full pb-1 text-sm text-bad">
          {error}
        </p>
      )}
    </div>
  )
}
