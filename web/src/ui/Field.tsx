import clsx from 'clsx'
import { useId, type ComponentProps, type ReactNode } from 'react'

type Described = { label: string; hint?: ReactNode; error?: string | undefined }

type FrameProps = Described & { id: string; className?: string | undefined; children: ReactNode }

function Frame({ id, label, hint, error, className, children }: FrameProps) {
  return (
    <div className={clsx('flex min-w-0 flex-col gap-1.5', className)}>
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children}
      {error ? (
        <p id={`${id}-text`} className="text-sm text-bad" role="alert">
          {error}
        </p>
      ) : (
        hint && (
          <p id={`${id}-text`} className="text-sm text-ink-3">
            {hint}
          </p>
        )
      )}
    </div>
  )
}

function described(id: string, { hint, error }: Described) {
  return {
    id,
    'aria-invalid': error ? true : undefined,
    'aria-describedby': error || hint ? `${id}-text` : undefined,
  }
}

type TextFieldProps = Described & ComponentProps<'input'> & { mono?: boolean }

export function TextField({ label, hint, error, mono, className, ...rest }: TextFieldProps) {
  const id = useId()
  const text = { label, hint, error }
  return (
    <Frame id={id} className={className} {...text}>
      <input
        {...rest}
        {...described(id, text)}
        className={clsx('field', mono && 'font-mono text-sm')}
      />
    </Frame>
  )
}

type TextAreaProps = Described & ComponentProps<'textarea'>

export function TextArea({ label, hint, error, className, ...rest }: TextAreaProps) {
  const id = useId()
  const text = { label, hint, error }
  return (
    <Frame id={id} className={className} {...text}>
      <textarea {...rest} {...described(id, text)} className="field font-mono text-sm" />
    </Frame>
  )
}

type SelectFieldProps = Described & ComponentProps<'select'>

export function SelectField({
  label,
  hint,
  error,
  className,
  children,
  ...rest
}: SelectFieldProps) {
  const id = useId()
  const text = { label, hint, error }
  return (
    <Frame id={id} className={className} {...text}>
      <select {...rest} {...described(id, text)} className="field">
        {children}
      </select>
    </Frame>
  )
}

type CheckFieldProps = { label: ReactNode } & ComponentProps<'input'>

export function CheckField({ label, className, ...rest }: CheckFieldProps) {
  return (
    <label className={clsx('inline-flex min-h-7 cursor-pointer items-center gap-2', className)}>
      <input type="checkbox" className="size-4 accent-accent" {...rest} />
      {label}
    </label>
  )
}

export function FormError({ children }: { children: ReactNode }) {
  if (!children) return null
  return (
    <p
      role="alert"
      className="rounded-md border border-bad-line bg-bad-soft px-3 py-2 text-sm text-bad"
    >
      {children}
    </p>
  )
}
