import clsx from 'clsx'
import type { ComponentProps, MouseEvent, ReactNode } from 'react'
import { Link, type LinkProps } from 'react-router'

import { Spinner } from './Spinner'
import { Tooltip } from './Tooltip'

type Look = 'primary' | 'secondary' | 'quiet' | 'danger'
type Size = 'small' | 'normal'

const looks: Record<Look, string> = {
  primary: 'border-transparent bg-ink text-canvas hover:bg-ink-2 aria-disabled:hover:bg-ink',
  secondary: 'border-line-strong bg-surface text-ink hover:bg-hover aria-disabled:hover:bg-surface',
  quiet:
    'border-transparent text-ink-2 hover:bg-hover hover:text-ink aria-disabled:hover:bg-transparent',
  danger: 'border-bad-line bg-surface text-bad hover:bg-bad-soft aria-disabled:hover:bg-surface',
}
const sizes: Record<Size, string> = {
  small: 'min-h-7 gap-1.5 px-2 text-sm',
  normal: 'min-h-9 gap-2 px-3.5 text-base',
}

function buttonClass(look: Look, size: Size, className?: string) {
  return clsx(
    'inline-flex shrink-0 items-center justify-center rounded-md border font-medium whitespace-nowrap select-none',
    'transition-colors duration-100 aria-disabled:opacity-55',
    looks[look],
    sizes[size],
    className,
  )
}

type ButtonProps = ComponentProps<'button'> & {
  look?: Look
  size?: Size
  pending?: boolean
  // Why the button can't be pressed now. It stays focusable, so that everyone
  // can find out.
  reason?: string | undefined
  tip?: ReactNode
}

export function Button({
  look = 'secondary',
  size = 'normal',
  pending = false,
  reason,
  tip,
  type = 'button',
  className,
  onClick,
  children,
  ...rest
}: ButtonProps) {
  const off = pending || Boolean(reason)
  const click = (event: MouseEvent<HTMLButtonElement>) => {
    if (off) event.preventDefault()
    else onClick?.(event)
  }
  return (
    <Tooltip text={reason ?? tip}>
      <button
        type={type}
        aria-disabled={off || undefined}
        aria-busy={pending || undefined}
        className={buttonClass(look, size, className)}
        onClick={click}
        {...rest}
      >
        {pending && <Spinner />}
        {children}
      </button>
    </Tooltip>
  )
}

type ButtonLinkProps = LinkProps & { look?: Look; size?: Size }

export function ButtonLink({
  look = 'secondary',
  size = 'normal',
  className,
  ...rest
}: ButtonLinkProps) {
  return <Link className={buttonClass(look, size, className)} {...rest} />
}

type IconButtonProps = Omit<ButtonProps, 'children' | 'tip'> & { label: string; icon: ReactNode }

// IconButton is a button whose label is shown on hover and focus only.
export function IconButton({ label, icon, className, reason, ...rest }: IconButtonProps) {
  return (
    <Button
      look="quiet"
      size="small"
      aria-label={label}
      tip={label}
      reason={reason}
      className={clsx('min-w-7 px-1.5', className)}
      {...rest}
    >
      {icon}
    </Button>
  )
}
