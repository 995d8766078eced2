import { Tooltip as Radix } from 'radix-ui'
import { createContext, useContext, useState, type ReactElement, type ReactNode } from 'react'

export const TooltipProvider = Radix.Provider

// TooltipPlace is the modal dialog that tooltips are part of: what is outside it
// lies beneath it.
export const TooltipPlace = createContext<HTMLElement | null>(null)

// Tooltip says more about its child on hover and on focus. Where there is
// nothing to say the child stays in its place all the same: a button whose
// reason comes and goes keeps the focus.
export function Tooltip({ text, children }: { text: ReactNode; children: ReactElement }) {
  const [open, setOpen] = useState(false)
  const place = useContext(TooltipPlace)
  return (
    <Radix.Root open={open && Boolean(text)} onOpenChange={setOpen}>
      <Radix.Trigger asChild>{children}</Radix.Trigger>
      <Radix.Portal container={place}>
        <Radix.Content
          sideOffset={6}
          collisionPadding={8}
          className="z-50 max-w-72 animate-appear rounded-md border border-line-strong bg-raised px-2 py-1 text-xs text-ink"
        >
          {text}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}
