import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it } from 'vitest'

import { Problem, serve } from '@/testing/api'
import { FakeEventSource } from '@/testing/eventSource'
import { aDeployment, aProject } from '@/testing/fixtures'
import { me, openPage } from '@/testing/render'

describe('the projects', () => {
  it('show a broken latest deployment under a healthy production one', async () => {
    const production = aDeployment({ inProduction: true })
    const latest = aDeployment({ id: 'd2', status: 'FAIL', source: { message: 'Break it' } })
    serve({ 'GET /auth/me': me, 'GET /projects': { items: [aProject({ production, latest })] } })
    openPage('/')
    const card = await screen.findByRole('article')
    expect(within(card).getByText('Ready')).toBeVisible()
    expect(within(card).getByText('Failed')).toBeVisible()
    expect(within(card).getByText('Break it')).toBeVisible()
    expect(within(card).getByRole('link', { name: 'blog.localhost:8001' })).toHaveAttribute(
      'href',
      'http://blog.localhost:8001',
    )
  })

  it('say what to do where there are none', async () => {
    serve({ 'GET /auth/me': me, 'GET /projects': { items: [] } })
    openPage('/')
    await screen.findByText('Deploy your first site')
    expect(screen.getByText('mini-vercel deploy ./my-site')).toBeVisible()
  })

  it('can be asked for again after a failure', async () => {
    let failing = true
    serve({
      'GET /auth/me': me,
      'GET /projects': () => (failing ? new Problem(403, 'not today') : { items: [aProject()] }),
    })
    openPage('/')
    const again = await screen.findByRole('button', { name: 'Try again' })
    failing = false
    await userEvent.click(again)
    await screen.findByRole('heading', { name: 'Blog' })
  })

  it('change when the control plane says so', async () => {
    let name = 'Blog'
    serve({ 'GET /auth/me': me, 'GET /projects': () => ({ items: [aProject({ name })] }) })
    openPage('/')
    await screen.findByRole('heading', { name: 'Blog' })
    name = 'Diary'
    FakeEventSource.to('/events').send('change', { type: 'project', project: 'p1' })
    await screen.findByRole('heading', { name: 'Diary' })
  })

  it('warn where builds are not isolated, until one has read it', async () => {
    const warnings = ['Builds reach the network of this machine.']
    serve({
      'GET /auth/me': { ...me, isolation: { ...me.isolation, warnings } },
      'GET /projects': { items: [] },
    })
    openPage('/')
    expect(await screen.findByText(warnings[0] ?? '')).toBeVisible()
    await userEvent.click(screen.getByRole('button', { name: 'Hide this' }))
    expect(screen.queryByText(warnings[0] ?? '')).not.toBeInTheDocument()
  })
})

describe('a new project', () => {
  const detection = {
    framework: 'vite',
    frameworkName: 'Vite',
    packageManager: 'npm',
    installCommand: 'npm ci',
    buildCommand: 'npm run build',
    outputDirectory: 'dist',
    branches: ['main', 'next'],
    defaultBranch: 'main',
  }

  it('needs a URL only; what was detected is shown, and sent only where it was changed', async () => {
    const deployment = aDeployment({ status: 'QUEUED' })
    const asked = serve({
      'GET /auth/me': me,
      'POST /detect': detection,
      'POST /projects': aProject(),
      'POST /deploy': deployment,
      'GET /projects': { items: [] },
      'GET /projects/blog': aProject(),
      'GET /projects/p1/deployments/4f2c9ab1': deployment,
    })
    const router = openPage('/new')
    await userEvent.type(
      await screen.findByRole('textbox', { name: 'Git URL' }),
      'https://github.com/ada/blog',
    )
    expect(await screen.findByText('Vite', {}, { timeout: 3000 })).toBeVisible()
    expect(screen.getByText('npm run build')).toBeVisible()
    expect(screen.getByLabelText('Project name')).toHaveValue('blog')
    await userEvent.click(screen.getByRole('button', { name: 'Change output' }))
    const output = screen.getByLabelText('Output')
    await userEvent.clear(output)
    await userEvent.type(output, 'public')
    await userEvent.click(screen.getByRole('button', { name: 'Deploy' }))
    await waitFor(() => expect(router.state.location.pathname).toBe('/p/blog/d/4f2c9ab1'))
    expect(
      asked.find(({ path, method }) => path === '/projects' && method === 'POST')?.body,
    ).toEqual({
      name: 'blog',
      gitURL: 'https://github.com/ada/blog',
      productionBranch: 'main',
      outputDirectory: 'public',
    })
  })

  it('puts what is wrong at its field', async () => {
    serve({
      'GET /auth/me': me,
      'POST /detect': () => new Problem(422, 'no', [{ field: 'gitURL', message: 'can’t be read' }]),
      'POST /projects': () => new Problem(422, 'no', [{ field: 'name', message: 'is taken' }]),
    })
    openPage('/new')
    const url = await screen.findByRole('textbox', { name: 'Git URL' })
    await userEvent.type(url, 'https://github.com/ada/blog')
    await waitFor(() => expect(url).toHaveAccessibleDescription('Can’t be read.'), {
      timeout: 3000,
    })
    await userEvent.click(screen.getByRole('button', { name: 'Deploy' }))
    await waitFor(() =>
      expect(screen.getByLabelText('Project name')).toHaveAccessibleDescription('Is taken.'),
    )
  })

  it('says why it can’t be deployed yet', async () => {
    serve({ 'GET /auth/me': me })
    openPage('/new')
    const button = await screen.findByRole('button', { name: 'Deploy' })
    expect(button).toHaveAttribute('aria-disabled', 'true')
    await userEvent.hover(button)
    expect(await screen.findByRole('tooltip')).toHaveTextContent('Give the git URL first.')
  })
})
