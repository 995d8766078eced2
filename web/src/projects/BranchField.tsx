import { useId } from 'react'

import { TextField } from '@/ui/Field'

type BranchFieldProps = {
  branches: string[] | undefined
  placeholder: string
  value: string
  onChange: (branch: string) => void
  error: string | undefined
}

// BranchField takes any branch, and offers those that were found.
export function BranchField({ branches, placeholder, value, onChange, error }: BranchFieldProps) {
  const id = useId()
  return (
    <>
      <TextField
        label="Branch"
        name="branch"
        list={id}
        autoComplete="off"
        spellCheck={false}
        placeholder={placeholder}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        error={error}
      />
      <datalist id={id}>
        {(branches ?? []).map((branch) => (
          <option key={branch}>{branch}</option>
        ))}
      </datalist>
    </>
  )
}
