import { X } from 'lucide-react'
import { useEffect, useId, useRef, useState, type ReactNode } from 'react'

import { IconButton } from './Button'
import { TooltipPlace } from './Tooltip'

type DialogProps = {
  title: string
  onClose: () => void
  children: ReactNode
  footer?: ReactNode
}

// Dialog is the browser's own modal dialog: it traps the focus, gives it back,
// and closes on Escape, without the style elements that the content security
// policy would refuse. It is open for as long as it is rendered.
export function Dialog({ title, onClose, children, footer }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const [place, setPlace] = useState<HTMLElement | null>(null)
  const id = useId()
  useEffect(() => {
    const dialog = ref.current
    const before = document.activeElement
    setPlace(dialog)
    // Into the first field, not onto the button that closes it, nor by way of it.
    const field = dialog?.querySelector<HTMLElement>('input:not([tabindex]), textarea, select')
    const first = field ?? dialog
    if (first) first.autofocus = true
    dialog?.showModal()
    first?.focus()
    return () => {
      dialog?.close()
      // It is out of the document by now, and gives the focus back no more.
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={ref}
      tabIndex={-1}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onClose={() => {
        // A browser may close it without asking.
        if (!ref.current?.open) onClose()
      }}
      onMouseDown={(event) => {
        if (event.target === event.currentTarget) onClose()
      }}
      className="m-auto max-h-[calc(100dvh-2rem)] w-full max-w-lg animate-appear overflow-hidden rounded-lg border border-line-strong bg-raised p-0 text-ink outline-none max-sm:w-[calc(100%-2rem)]"
    >
      <TooltipPlace value={place}>
        <div className="flex max-h-[calc(100dvh-2rem)] flex-col">
          <header className="flex items-center justify-between gap-4 border-b border-line py-2.5 pr-3 pl-5">
            <h2 id={id} className="text-lg font-semibold">
              {title}
            </h2>
            <IconButton label="Close" icon={<X size={16} aria-hidden />} onClick={onClose} />
          </header>
          <div className="flex flex-col gap-4 overflow-y-auto p-5">{children}</div>
          {footer && (
            <footer className="flex flex-wrap justify-end gap-2 border-t border-line bg-sunken px-5 py-3">
              {footer}
            </footer>
          )}
        </div>
      </TooltipPlace>
    </dialog>
  )
}
