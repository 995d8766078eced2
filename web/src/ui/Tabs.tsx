import { Tabs as Radix } from 'radix-ui'
import type { ReactNode } from 'react'

type TabsProps<Id extends string> = {
  label: string
  tabs: readonly { id: Id; label: string }[]
  chosen: Id
  onChoose: (id: Id) => void
  children: ReactNode // the chosen tab's
}

export function Tabs<Id extends string>({
  label,
  tabs,
  chosen,
  onChoose,
  children,
}: TabsProps<Id>) {
  return (
    <Radix.Root
      value={chosen}
      onValueChange={(value) => {
        const tab = tabs.find(({ id }) => id === value)
        if (tab) onChoose(tab.id)
      }}
    >
      <Radix.List aria-label={label} className="mb-6 flex gap-1 border-b border-line">
        {tabs.map(({ id, label: text }) => (
          <Radix.Trigger
            key={id}
            value={id}
            className="-mb-px min-h-9 border-b-2 border-transparent px-3 text-ink-2 hover:text-ink data-[state=active]:border-ink data-[state=active]:font-medium data-[state=active]:text-ink"
          >
            {text}
          </Radix.Trigger>
        ))}
      </Radix.List>
      <Radix.Content value={chosen}>{children}</Radix.Content>
    </Radix.Root>
  )
}
