import clsx from 'clsx'
import {
  ArrowLeft,
  Braces,
  CircleUser,
  Gauge,
  Globe,
  Layers,
  LayoutGrid,
  Rocket,
  Route,
  Settings2,
  type LucideIcon,
} from 'lucide-react'
import { NavLink, useMatch } from 'react-router'

import { paths } from '@/paths'

// A bar at the bottom has room for few: the others are in the palette there.
type Place = { to: string; label: string; icon: LucideIcon; end?: boolean; wide?: boolean }

const everywhere: Place[] = [
  { to: paths.projects(), label: 'Projects', icon: LayoutGrid, end: true },
  { to: paths.deployments(), label: 'Deployments', icon: Rocket },
  { to: paths.system(), label: 'System', icon: Gauge },
  { to: paths.account(), label: 'Account', icon: CircleUser },
]

// Rail leads to the places of the dashboard, or within a project to that
// project's. On a narrow screen it is a bar at the bottom.
export function Rail() {
  const subDomain = useMatch('/p/:subDomain/*')?.params.subDomain
  const places = subDomain ? placesOf({ subDomain }) : everywhere
  return (
    <nav
      aria-label={subDomain ? 'Project' : 'Dashboard'}
      className={clsx(
        'fixed inset-x-0 bottom-0 z-30 flex border-t border-line bg-canvas pb-[env(safe-area-inset-bottom)]',
        'md:sticky md:top-12 md:bottom-auto md:z-0 md:h-[calc(100dvh-3rem)] md:w-52 md:shrink-0 md:flex-col md:gap-0.5 md:border-t-0 md:p-3',
      )}
    >
      {places.map(({ to, label, icon: Icon, end, wide }) => (
        <NavLink
          key={to}
          to={to}
          end={end ?? false}
          className={({ isActive }) =>
            clsx(
              wide && 'max-md:hidden',
              'flex min-h-14 grow basis-0 flex-col items-center justify-center gap-1 text-xs -outline-offset-2',
              'md:min-h-8 md:grow-0 md:basis-auto md:flex-row md:justify-start md:gap-2.5 md:rounded-md md:px-2.5 md:text-base',
              isActive
                ? 'font-medium text-ink md:bg-hover'
                : 'text-ink-2 hover:text-ink md:hover:bg-hover',
            )
          }
        >
          <Icon size={16} aria-hidden className="shrink-0" />
          {label}
        </NavLink>
      ))}
    </nav>
  )
}

function placesOf(project: { subDomain: string }): Place[] {
  return [
    { to: paths.projects(), label: 'All projects', icon: ArrowLeft, end: true },
    { to: paths.project(project), label: 'Overview', icon: Layers, end: true },
    { to: paths.domains(project), label: 'Domains', icon: Globe },
    { to: paths.env(project), label: 'Environment', icon: Braces },
    { to: paths.explain(project), label: 'Explain', icon: Route, wide: true },
    { to: paths.settings(project), label: 'Settings', icon: Settings2 },
  ]
}
