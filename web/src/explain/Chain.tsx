import clsx from 'clsx'
import { ArrowRight, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'

import type { Explanation, RuleLine } from '@/api/types'
import { size } from '@/format/size'
import { Section } from '@/shell/PageTitle'
import { CopyButton } from '@/ui/CopyButton'

// Chain shows an answer and what it comes from, in the order in which an edge
// looks at it.
export function Chain({ explanation }: { explanation: Explanation }) {
  const { steps, file, headers, cache } = explanation
  return (
    <>
      <Answer explanation={explanation} />
      <Section title="Why">
        <ol className="divide-y divide-line card" aria-label="Steps">
          {steps.map(({ step, text, lines, warning, decides }) => (
            <Row key={step} name={names[step] ?? step} decides={decides}>
              <p className="break-words">{text}</p>
              {lines.map((line) => (
                <Line key={`${line.file}:${line.line}`} line={line} />
              ))}
              {warning && (
                <p className="flex gap-2 text-warn">
                  <TriangleAlert size={16} className="mt-0.5 shrink-0" aria-hidden />
                  <span className="min-w-0 break-words">{warning}</span>
                </p>
              )}
            </Row>
          ))}
          {file && (
            <Row name="Sent">
              <p className="break-words">
                {size(file.size)}
                {file.encoding !== 'identity' && ` in ${file.encoding}`}, of{' '}
                {file.encodings.join(', ')}
              </p>
            </Row>
          )}
          {file && file.earlyHints.length > 0 && (
            <Row name="Early hints">
              {file.earlyHints.map((link) => (
                <code key={link} className="font-mono text-sm wrap-anywhere">
                  {link}
                </code>
              ))}
            </Row>
          )}
          <Row name="Cache">
            <p className="break-words">{sentence(cache.text)}</p>
          </Row>
        </ol>
      </Section>
      {headers.length > 0 && (
        <Section title="Headers">
          <ul className="divide-y divide-line card" aria-label="Headers">
            {headers.map(({ name, values, lines }) => (
              <li key={name} className="grid gap-x-4 gap-y-1 px-4 py-2.5 sm:grid-cols-[13rem_1fr]">
                <code className="font-mono text-sm break-words text-ink-2">{name}</code>
                <div className="flex min-w-0 flex-col gap-1">
                  {values.length === 0 && <p className="text-ink-2">Removed</p>}
                  {values.map((value, index) => (
                    <code key={index} className="font-mono text-sm wrap-anywhere">
                      {value}
                    </code>
                  ))}
                  {lines.map((line) => (
                    <Line key={line.line} line={line} />
                  ))}
                </div>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  )
}

const names: Record<Explanation['steps'][number]['step'], string> = {
  host: 'Host',
  route: 'Route',
  project: 'Project',
  access: 'Access',
  deployment: 'Deployment',
  rule: 'Rule',
  file: 'File',
}

function Answer({ explanation }: { explanation: Explanation }) {
  const { status, answer, method, url, location } = explanation
  const failed = status >= 400
  return (
    <div
      role="status"
      className={clsx(
        'flex flex-col gap-2 rounded-lg border px-4 py-3',
        failed ? 'border-bad-line bg-bad-soft' : 'border-line-strong bg-surface',
      )}
    >
      <p className={clsx('text-lg font-semibold break-words', failed && 'text-bad')}>{answer}</p>
      <p className="flex min-w-0 items-center gap-2 text-sm text-ink-2">
        <code className="min-w-0 font-mono wrap-anywhere">
          {method} {url}
        </code>
        {location && <ArrowRight size={14} className="shrink-0" aria-hidden />}
        {location && <CopyButton text={location} label="Copy where it leads" />}
      </p>
    </div>
  )
}

type RowProps = { name: string; decides?: boolean | undefined; children: ReactNode }

function Row({ name, decides, children }: RowProps) {
  return (
    <li className="grid gap-x-4 gap-y-1 px-4 py-2.5 sm:grid-cols-[8rem_1fr]">
      <p className="flex items-start gap-2 text-ink-3">
        {name}
        {decides && (
          <span className="rounded-sm bg-accent-soft px-1.5 text-xs leading-5 font-medium text-accent">
            decides
          </span>
        )}
      </p>
      <div className="flex min-w-0 flex-col gap-1.5">{children}</div>
    </li>
  )
}

function Line({ line }: { line: RuleLine }) {
  return (
    <p className="flex min-w-0 gap-3 rounded-md border border-line bg-sunken px-2.5 py-1 font-mono text-sm">
      <span className="shrink-0 text-ink-3">
        {line.file}:{line.line}
      </span>
      <code className="min-w-0 wrap-anywhere">{line.text}</code>
    </p>
  )
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
