import { Box } from 'lucide-react'

import { frameworks } from './frameworks'
import { logoPaths } from './logoPaths'

// FrameworkLogo is a tile with a framework's logo, in one colour like all else.
export function FrameworkLogo({
  framework,
  size = 32,
}: {
  framework?: string | undefined
  size?: number
}) {
  const logo = framework ? frameworks[framework]?.logo : undefined
  const inner = Math.round(size * 0.55)
  return (
    <span
      aria-hidden
      className="flex shrink-0 items-center justify-center rounded-md border border-line bg-sunken text-ink-2"
      style={{ width: size, height: size }}
    >
      {logo ? (
        <svg viewBox="0 0 24 24" width={inner} height={inner} fill="currentColor">
          <path d={logoPaths[logo]} />
        </svg>
      ) : (
        <Box size={inner} />
      )}
    </span>
  )
}
