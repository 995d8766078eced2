import { TriangleAlert } from 'lucide-react'

import type { Warning } from '@/api/types'
import { Section } from '@/shell/PageTitle'

// Warnings say what of the site's rules was left out, and where they stand.
export function Warnings({ warnings }: { warnings: Warning[] }) {
  if (warnings.length === 0) return null
  return (
    <Section title="Warnings">
      <ul className="divide-y divide-warn-line rounded-lg border border-warn-line bg-warn-soft">
        {warnings.map(({ file, line, reason }, index) => (
          <li key={index} className="flex gap-3 px-4 py-2.5">
            <TriangleAlert size={16} className="mt-0.5 shrink-0 text-warn" aria-hidden />
            <p className="min-w-0 break-words">
              <code className="font-mono text-sm">
                {file}
                {line ? `:${line}` : ''}
              </code>{' '}
              {reason}
            </p>
          </li>
        ))}
      </ul>
    </Section>
  )
}
