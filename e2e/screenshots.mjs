// Makes the README's pictures: starts the platform on a directory of its own,
// deploys a few sites, and photographs the dashboard. `make screenshots`.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launch } from './chromium.mjs'

const root = resolve(fileURLToPath(import.meta.url), '../..')
const binary = join(root, 'bin/mini-vercel')
const images = process.env.IMAGES || join(root, 'docs/images')
const work = mkdtempSync(join(tmpdir(), 'mini-vercel-pictures-'))
const env = { ...process.env, XDG_CONFIG_HOME: join(work, 'config'), METRICS_ADDR: 'off', EDGE_HTTPS_PORT: '0' }
mkdirSync(images, { recursive: true })

const up = spawn(binary, ['up', '--data', join(work, 'data'), '--port', '0', '--edge-port', '0'], { env })
const setup = await new Promise((found, failed) => {
  let text = ''
  const read = (chunk) => {
    text += chunk
    const link = /http:\S+\/dashboard\/signup#code=\S+/.exec(text)
    if (link) found(link[0])
  }
  up.stdout.on('data', read)
  up.stderr.on('data', read)
  up.on('exit', (code) => failed(new Error(`up ended with ${code}\n${text}`)))
})
const cli = (...args) => JSON.parse(execFileSync(binary, [...args, '--json'], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))

function folder(name, files) {
  const dir = join(work, name)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(dir, path, '..'), { recursive: true })
    writeFileSync(join(dir, path), text)
  }
  return dir
}

function repository(name, template) {
  const dir = join(work, name)
  const run = (command, ...args) => execFileSync(command, args, { cwd: dir, stdio: 'ignore' })
  execFileSync(join(root, 'e2e/node_modules/.bin/create-vite'), [name, '--template', template, '--no-interactive'], { cwd: work, stdio: 'ignore' })
  run('npm', 'pkg', 'delete', 'devDependencies.oxlint')
  run('npm', 'install', '--no-audit', '--no-fund')
  run('git', 'init', '-q', '-b', 'main')
  run('git', 'add', '-A')
  run('git', '-c', 'user.name=Ada Lovelace', '-c', 'user.email=ada@example.com', 'commit', '-qm', 'Show the first program on the front page')
  return `file://${dir}`
}

let browser
try {
  const built = cli('deploy', '--git', repository('engine', 'react-ts'), '--branch', 'main', '--project', 'engine', '-y')
  cli('deploy', folder('handbook', { 'index.html': '<h1>Handbook</h1>', 'guide/index.html': '<h1>Guide</h1>' }), '--project', 'handbook', '-y', '--message', 'Describe the release process')
  cli('deploy', folder('status', { 'index.html': '<h1>All systems normal</h1>' }), '--project', 'status-page', '-y', '--message', 'Shorten the incident page')

  browser = await launch()
  for (const scheme of ['light', 'dark']) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: scheme, deviceScaleFactor: 2 })
    const page = await context.newPage()
    if (scheme === 'light') {
      await page.goto(setup)
      await page.getByLabel('Email').fill('ada@example.com')
      await page.getByLabel('Password', { exact: true }).fill('correct horse battery staple')
      await page.getByRole('button', { name: 'Create account' }).click()
    } else {
      await page.goto(new URL('/dashboard/', setup).href)
      await page.getByLabel('Email').fill('ada@example.com')
      await page.getByLabel('Password', { exact: true }).fill('correct horse battery staple')
      await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    }
    await page.getByText('status-page').first().waitFor()
    await page.screenshot({ path: join(images, `projects-${scheme}.png`) })
    await page.goto(new URL(`/dashboard/p/engine/d/${built.id.slice(0, 8)}`, setup).href)
    await page.getByRole('log').getByText('built in').waitFor()
    await page.screenshot({ path: join(images, `deployment-${scheme}.png`) })
    await context.close()
  }
  console.log(`pictures in ${images}`)
} finally {
  await browser?.close()
  up.removeAllListeners('exit')
  up.kill('SIGINT')
  await new Promise((done) => up.once('exit', done))
  rmSync(work, { recursive: true, force: true })
}
