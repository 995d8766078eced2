import { useState } from 'react'

import { PageTitle } from '@/shell/PageTitle'
import { Tabs } from '@/ui/Tabs'

import { FromFolder } from './FromFolder'
import { FromGit } from './FromGit'

const tabs = [
  { id: 'git', label: 'Git repository' },
  { id: 'folder', label: 'Folder' },
] as const

export function Component() {
  const [tab, setTab] = useState<(typeof tabs)[number]['id']>('git')
  return (
    <div className="page flex narrow flex-col gap-6">
      <PageTitle title="New project" />
      <Tabs label="Source" tabs={tabs} chosen={tab} onChoose={setTab}>
        {tab === 'git' ? <FromGit /> : <FromFolder />}
      </Tabs>
    </div>
  )
}
