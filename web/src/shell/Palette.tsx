import { lazy, Suspense, useEffect, useState } from 'react'

const PaletteDialog = lazy(() => import('./PaletteDialog'))

const opened = new EventTarget()

export function openPalette(): void {
  opened.dispatchEvent(new Event('open'))
}

// PaletteHost opens the palette on ⌘K, and loads it then.
export function PaletteHost() {
  const [open, setOpen] = useState(false)
  useEffect(() => {
    const show = () => setOpen(true)
    const onKey = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        setOpen((was) => !was)
      }
    }
    opened.addEventListener('open', show)
    window.addEventListener('keydown', onKey)
    return () => {
      opened.removeEventListener('open', show)
      window.removeEventListener('keydown', onKey)
    }
  }, [])
  if (!open) return null
  return (
    <Suspense>
      <PaletteDialog onClose={() => setOpen(false)} />
    </Suspense>
  )
}
