import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
  type ReactNode,
} from 'react'

// A Command is what a button on the page does, offered in the palette too.
export type Command = {
  id: string
  label: string
  hint?: string
  reason?: string | undefined // why it can't be done now
  run: () => void
}

type Registry = {
  commands: Command[]
  register: (owner: string, commands: Command[] | undefined) => void
}

const Context = createContext<Registry>({ commands: [], register: () => {} })

export function CommandsProvider({ children }: { children: ReactNode }) {
  const [owners, setOwners] = useState<ReadonlyMap<string, Command[]>>(new Map())
  const register = useCallback<Registry['register']>((owner, commands) => {
    setOwners((before) => {
      const next = new Map(before)
      if (commands) next.set(owner, commands)
      else next.delete(owner)
      return next
    })
  }, [])
  const registry = useMemo(
    () => ({ commands: [...owners.values()].flat(), register }),
    [owners, register],
  )
  return <Context value={registry}>{children}</Context>
}

export function useRegisteredCommands(): Command[] {
  return useContext(Context).commands
}

// useCommands offers a page's commands in the palette while it is shown. They
// are registered anew when what a person can see of them changes; what runs is
// always the latest.
export function useCommands(commands: Command[]): void {
  const { register } = useContext(Context)
  const owner = useId()
  const latest = useRef(commands)
  useEffect(() => {
    latest.current = commands
  })
  const seen = JSON.stringify(
    commands.map(({ id, label, hint, reason }) => [id, label, hint, reason]),
  )
  useEffect(() => {
    const entries = latest.current.map((command, index) => ({
      ...command,
      run: () => latest.current[index]?.run(),
    }))
    register(owner, entries)
    return () => register(owner, undefined)
  }, [owner, seen, register])
}
