import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'

import { queries } from '@/api/queries'
import { useCommands } from '@/shell/commands'
import { PageTitle } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { Empty, Loaded, SkeletonRows } from '@/ui/Loaded'

import { EnvForm } from './EnvForm'
import { EnvPaste } from './EnvPaste'
import { EnvRow } from './EnvRow'
import { useProject } from './ProjectLayout'

type Open = { form: 'one' | 'paste'; key?: string }

export function Component() {
  const project = useProject()
  const env = useQuery(queries.env(project.id))
  const [open, setOpen] = useState<Open>()
  const close = () => setOpen(undefined)
  const add = () => setOpen({ form: 'one' })
  const paste = () => setOpen({ form: 'paste' })
  useCommands([
    { id: 'env-add', label: 'Add an environment variable', run: add },
    { id: 'env-paste', label: 'Paste a .env file', run: paste },
  ])
  return (
    <div className="page flex narrow flex-col gap-6">
      <div className="flex flex-col gap-2">
        <PageTitle title="Environment" tab={`Environment · ${project.name}`}>
          <Button onClick={paste}>Paste a .env file</Button>
          <Button look="primary" onClick={add}>
            Add variable
          </Button>
        </PageTitle>
        <p className="text-ink-2">
          Variables of the build. A change counts from the next deployment on.
        </p>
      </div>
      <Loaded query={env} what="the variables" skeleton={<SkeletonRows rows={3} />}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No variables yet">
              <p className="text-ink-2">
                Builds see CI=1 and the names that begin with MINI_VERCEL.
              </p>
              <Button onClick={paste}>Paste a .env file</Button>
            </Empty>
          ) : (
            <ul className="divide-y divide-line card">
              {items.map((variable) => (
                <EnvRow
                  key={variable.key}
                  project={project}
                  variable={variable}
                  onChange={() => setOpen({ form: 'one', key: variable.key })}
                />
              ))}
            </ul>
          )
        }
      </Loaded>
      {open?.form === 'one' && (
        <EnvForm
          project={project}
          variable={env.data?.items.find(({ key }) => key === open.key)}
          onClose={close}
        />
      )}
      {open?.form === 'paste' && (
        <EnvPaste project={project} known={env.data?.items ?? []} onClose={close} />
      )}
    </div>
  )
}
