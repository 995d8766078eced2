import { Check, Copy } from 'lucide-react'
import { useEffect, useState } from 'react'

import { IconButton } from './Button'
import { toast } from './toast'

// copyText falls back to a selection where the page is served over plain HTTP
// from another machine, where browsers offer no clipboard.
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const area = document.createElement('textarea')
  area.value = text
  area.setAttribute('readonly', '')
  document.body.append(area)
  area.select()
  const copied = document.execCommand('copy')
  area.remove()
  if (!copied) throw new Error('The browser did not allow copying.')
}

export function CopyButton({ text, label }: { text: string | (() => string); label: string }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = window.setTimeout(() => setCopied(false), 1500)
    return () => window.clearTimeout(timer)
  }, [copied])
  const copy = () =>
    copyText(typeof text === 'string' ? text : text()).then(() => setCopied(true), toast.failed)
  return (
    <IconButton
      label={copied ? 'Copied' : label}
      icon={
        copied ? (
          <Check size={14} className="text-ok" aria-hidden />
        ) : (
          <Copy size={14} aria-hidden />
        )
      }
      onClick={copy}
    />
  )
}

// CommandLine is a command to run in a terminal, ready to be copied.
export function CommandLine({ command }: { command: string }) {
  return (
    <div className="flex max-w-full items-center gap-2 rounded-md border border-line bg-sunken py-1 pr-1 pl-3">
      <code className="min-w-0 grow overflow-x-auto py-1 font-mono text-sm whitespace-nowrap">
        {command}
      </code>
      <CopyButton text={command} label="Copy the command" />
    </div>
  )
}
