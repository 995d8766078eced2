import clsx from 'clsx'
import { DropdownMenu } from 'radix-ui'
import type { ReactElement, ReactNode } from 'react'

type MenuProps = { trigger: ReactElement; children: ReactNode; align?: 'start' | 'end' }

// Menu is not modal: a modal one locks the page's scrolling by a style element,
// which the content security policy refuses.
export function Menu({ trigger, children, align = 'end' }: MenuProps) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align={align}
          sideOffset={6}
          collisionPadding={8}
          className="z-40 max-w-80 min-w-44 animate-appear rounded-lg border border-line-strong bg-raised p-1"
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

type ItemProps = {
  children: ReactNode
  onSelect: () => void
  danger?: boolean
  reason?: string | undefined
  icon?: ReactNode
}

export function MenuItem({ children, onSelect, danger = false, reason, icon }: ItemProps) {
  return (
    <DropdownMenu.Item
      aria-disabled={reason ? true : undefined}
      onSelect={(event) => {
        if (reason) event.preventDefault()
        else onSelect()
      }}
      className={clsx(
        'flex min-h-8 cursor-pointer items-center gap-2.5 rounded-sm px-2 py-1.5 outline-none',
        'data-[highlighted]:bg-hover',
        danger && 'text-bad',
        reason && 'cursor-not-allowed text-ink-3',
      )}
    >
      {icon}
      <span className="min-w-0">
        {children}
        {reason && <span className="block text-xs">{reason}</span>}
      </span>
    </DropdownMenu.Item>
  )
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return (
    <DropdownMenu.Label className="px-2 py-1.5 text-sm text-ink-3">{children}</DropdownMenu.Label>
  )
}

export function MenuLine() {
  return <DropdownMenu.Separator className="-mx-1 my-1 h-px bg-line" />
}
