import { useQuery } from '@tanstack/react-query'
import clsx from 'clsx'
import { LogOut, Monitor, Moon, Search, Settings2, Sun } from 'lucide-react'
import { Link, useMatch, useNavigate } from 'react-router'

import { queries } from '@/api/queries'
import type { User } from '@/api/types'
import { useSignOut } from '@/auth/useSignOut'
import { paths } from '@/paths'
import { Menu, MenuItem, MenuLabel, MenuLine } from '@/ui/Menu'

import { Mark } from './Mark'
import { openPalette } from './Palette'
import { setTheme, useTheme, type Theme } from './theme'

export function TopBar({ user }: { user: User }) {
  return (
    <header className="sticky top-0 z-30 flex h-12 items-center gap-3 border-b border-line bg-canvas px-4">
      <Crumbs />
      <button
        type="button"
        onClick={openPalette}
        aria-keyshortcuts="Meta+K Control+K"
        className="ml-auto flex h-8 items-center gap-2 rounded-md border border-line bg-surface px-2 text-sm text-ink-3 hover:border-line-strong hover:text-ink-2 md:w-64"
      >
        <Search size={14} aria-hidden />
        <span className="max-md:sr-only">Search or jump to</span>
        <kbd
          aria-hidden
          className="ml-auto rounded-sm border border-line px-1 font-sans text-xs text-ink-3 max-md:hidden"
        >
          {shortcut}
        </kbd>
      </button>
      <AccountMenu user={user} />
    </header>
  )
}

const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent)
const shortcut = isApple ? '⌘K' : 'Ctrl K'

// Crumbs say where this is, in the names of the address.
function Crumbs() {
  const project = useMatch('/p/:subDomain/*')?.params.subDomain
  const hostId = useMatch('/p/:subDomain/d/:hostId')?.params.hostId
  const { data } = useQuery({ ...queries.project(project ?? ''), enabled: project !== undefined })
  return (
    <nav aria-label="Place" className="flex min-w-0 items-center gap-2">
      <Link
        to={paths.projects()}
        className="flex min-h-8 min-w-6 items-center gap-2.5 font-semibold tracking-tight"
      >
        <Mark />
        <span className={clsx(project && 'max-md:sr-only')}>Mini-Vercel</span>
      </Link>
      {project && (
        <>
          <Slash />
          <Link
            to={paths.project({ subDomain: project })}
            className={clsx(
              'flex min-h-7 min-w-0 items-center rounded-md px-1.5 hover:bg-hover',
              hostId ? 'text-ink-2' : 'font-medium',
            )}
          >
            <span className="truncate">{data?.name ?? project}</span>
          </Link>
        </>
      )}
      {project && hostId && (
        <>
          <Slash />
          <span className="px-1.5 font-mono text-sm">{hostId}</span>
        </>
      )}
    </nav>
  )
}

function Slash() {
  return (
    <span className="shrink-0 text-line-strong" aria-hidden>
      /
    </span>
  )
}

const themes: { theme: Theme; label: string; icon: typeof Sun }[] = [
  { theme: 'system', label: 'As the system', icon: Monitor },
  { theme: 'light', label: 'Light', icon: Sun },
  { theme: 'dark', label: 'Dark', icon: Moon },
]

function AccountMenu({ user }: { user: User }) {
  const navigate = useNavigate()
  const signOut = useSignOut()
  const now = useTheme()
  const initial = (user.name || user.email || '?').charAt(0).toUpperCase()
  return (
    <Menu
      trigger={
        <button
          type="button"
          aria-label="Account"
          className="flex size-8 shrink-0 items-center justify-center rounded-full border border-line bg-hover text-sm font-medium text-ink-2 hover:border-line-strong hover:text-ink"
        >
          {initial}
        </button>
      }
    >
      <MenuLabel>{user.email || 'Owner of this machine'}</MenuLabel>
      <MenuLine />
      <MenuItem
        icon={<Settings2 size={14} aria-hidden />}
        onSelect={() => void navigate(paths.account())}
      >
        Account and tokens
      </MenuItem>
      <MenuLine />
      {themes.map(({ theme, label, icon: Icon }) => (
        <MenuItem
          key={theme}
          icon={<Icon size={14} aria-hidden />}
          onSelect={() => setTheme(theme)}
        >
          <span className={clsx(theme === now && 'font-medium')}>{label}</span>
          {theme === now && <span className="sr-only"> (chosen)</span>}
          {theme === now && (
            <span className="pl-2 text-accent" aria-hidden>
              •
            </span>
          )}
        </MenuItem>
      ))}
      <MenuLine />
      <MenuItem icon={<LogOut size={14} aria-hidden />} onSelect={signOut}>
        Sign out
      </MenuItem>
    </Menu>
  )
}
