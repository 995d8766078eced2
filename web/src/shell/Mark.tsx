// Mark is the product's sign: layers, the upper one on its way.
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden className="shrink-0">
      <rect width="32" height="32" rx="7" className="fill-ink" />
      <g fill="none" className="stroke-canvas" strokeWidth="2.6" strokeLinecap="round">
        <path d="M8 13.2 16 7l8 6.2" strokeLinejoin="round" />
        <path d="M8 18.6h16M8 24h16" />
      </g>
    </svg>
  )
}
