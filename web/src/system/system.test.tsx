import { screen, within } from '@testing-library/react'
import { describe, expect, it } from 'vitest'

import { serve } from '@/testing/api'
import { me, openPage } from '@/testing/render'

describe('the system', () => {
  it('says of each part what it is and whether it works, and where builds run', async () => {
    const detail = 'It does not answer; the log of the control plane says why.'
    serve({
      'GET /auth/me': me,
      'GET /system': {
        parts: [
          { name: 'database', engine: 'PostgreSQL', status: 'ok' },
          { name: 'logs', engine: 'ClickHouse', status: 'failed', detail },
        ],
        isolation: { ...me.isolation, where: 'tasks of Amazon ECS' },
        version: '1.2.3',
      },
    })
    openPage('/system')
    const [database, logs] = (await screen.findAllByRole('listitem')).filter(
      (item) => within(item).queryByText(/^(database|logs)$/) !== null,
    )
    expect(database).toHaveTextContent('PostgreSQL')
    expect(database).toHaveTextContent('Working')
    expect(logs).toHaveTextContent('ClickHouse')
    expect(logs).toHaveTextContent('Not working')
    expect(logs).toHaveTextContent(detail)
    expect(screen.getByText('tasks of Amazon ECS')).toBeInTheDocument()
    expect(screen.getByText('Version 1.2.3')).toBeInTheDocument()
  })
})
