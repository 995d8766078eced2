import { useQuery } from '@tanstack/react-query'
import clsx from 'clsx'
import { CornerDownLeft, Search } from 'lucide-react'
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from 'react'
import { useNavigate } from 'react-router'

import { queries } from '@/api/queries'
import { useSignOut } from '@/auth/useSignOut'
import { hostOf } from '@/format/source'
import { paths } from '@/paths'

import { useRegisteredCommands, type Command } from './commands'
import { rank } from './rank'
import { setTheme } from './theme'

type Entry = Command & { group: string }

const shownAtMost = 60

export default function PaletteDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const list = useRef<HTMLUListElement>(null)
  const id = useId()
  const [query, setQuery] = useState('')
  const [chosen, setChosen] = useState(0)
  const all = useEntries()
  const entries = useMemo(
    () => rank(all, query, ({ label, hint }) => `${label} ${hint ?? ''}`).slice(0, shownAtMost),
    [all, query],
  )

  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => element?.close()
  }, [])
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' })
  }, [chosen, query])

  const run = (entry: Entry | undefined) => {
    if (!entry || entry.reason) return
    onClose()
    entry.run()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const last = entries.length - 1
    if (event.key === 'ArrowDown') setChosen(chosen >= last ? 0 : chosen + 1)
    else if (event.key === 'ArrowUp') setChosen(chosen <= 0 ? Math.max(last, 0) : chosen - 1)
    else if (event.key === 'Enter') run(entries[chosen])
    else return
    event.preventDefault()
  }

  return (
    <dialog
      ref={dialog}
      aria-label="Command palette"
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onMouseDown={(event) => {
        if (event.target === event.currentTarget) onClose()
      }}
      className="mx-auto mt-[12dvh] w-full max-w-xl animate-appear overflow-hidden rounded-lg border border-line-strong bg-raised p-0 text-ink max-sm:w-[calc(100%-2rem)]"
    >
      <div className="flex items-center gap-3 border-b border-line px-4">
        <Search size={16} className="shrink-0 text-ink-3" aria-hidden />
        <input
          role="combobox"
          aria-label="Search or jump to"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={entries.length > 0 ? `${id}-${chosen}` : undefined}
          aria-autocomplete="list"
          placeholder="Go anywhere, do anything"
          autoComplete="off"
          spellCheck={false}
          value={query}
          onChange={(event) => {
            setQuery(event.target.value)
            setChosen(0)
          }}
          onKeyDown={onKeyDown}
          className="h-12 min-w-0 grow bg-transparent text-lg outline-none"
        />
      </div>
      <ul
        ref={list}
        id={id}
        role="listbox"
        aria-label="Results"
        className="max-h-[50dvh] overflow-y-auto p-1.5"
      >
        {entries.map((entry, index) => (
          <li
            key={entry.id}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === chosen}
            aria-disabled={entry.reason ? true : undefined}
            onMouseMove={() => setChosen(index)}
            onClick={() => run(entry)}
            onKeyDown={onKeyDown}
            className={clsx(
              'flex min-h-9 cursor-pointer items-center gap-3 rounded-md px-2.5 py-1.5',
              index === chosen && 'bg-hover',
              entry.reason && 'cursor-not-allowed text-ink-3',
            )}
          >
            <span className="w-16 shrink-0 text-xs text-ink-3">{entry.group}</span>
            <span className="min-w-0 grow truncate">{entry.label}</span>
            <span className="min-w-0 truncate text-sm text-ink-3 max-sm:hidden">
              {entry.reason ?? entry.hint}
            </span>
            {index === chosen && !entry.reason && (
              <CornerDownLeft size={14} className="shrink-0 text-ink-3" aria-hidden />
            )}
          </li>
        ))}
        {entries.length === 0 && (
          <li role="presentation" className="px-3 py-6 text-center text-ink-3">
            Nothing goes by this name.
          </li>
        )}
      </ul>
    </dialog>
  )
}

// useEntries are the commands of the page, then the projects, then the places.
function useEntries(): Entry[] {
  const navigate = useNavigate()
  const signOut = useSignOut()
  const commands = useRegisteredCommands()
  const { data: projects } = useQuery(queries.projects())
  return useMemo(() => {
    const to = (path: string) => () => void navigate(path)
    const go = (label: string, path: string): Entry => ({
      id: `go:${path}`,
      group: 'Go to',
      label,
      run: to(path),
    })
    return [
      ...commands.map((command) => ({ ...command, group: 'Do' })),
      ...(projects ?? []).map((project) => ({
        id: `project:${project.id}`,
        group: 'Project',
        label: project.name,
        hint: hostOf(project.url),
        run: to(paths.project(project)),
      })),
      go('Projects', paths.projects()),
      go('New project', paths.newProject()),
      go('Deployments', paths.deployments()),
      go('System', paths.system()),
      go('Account and tokens', paths.account()),
      { id: 'theme:light', group: 'Theme', label: 'Light theme', run: () => setTheme('light') },
      { id: 'theme:dark', group: 'Theme', label: 'Dark theme', run: () => setTheme('dark') },
      {
        id: 'theme:system',
        group: 'Theme',
        label: "The system's theme",
        run: () => setTheme('system'),
      },
      { id: 'sign-out', group: 'Account', label: 'Sign out', run: signOut },
    ]
  }, [commands, projects, navigate, signOut])
}
