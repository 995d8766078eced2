// What a new user does in the dashboard, from the setup link to the live site.
import assert from 'node:assert/strict'
import { launch, watch } from './chromium.mjs'

const { SETUP, REPOSITORY, SCREENSHOTS } = process.env
const browser = await launch()
const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
const page = await context.newPage()
page.setDefaultTimeout(30_000)
const faults = watch(page)
let shots = 0
const shot = async (name) => {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${String(++shots).padStart(2, '0')}-${name}.png` })
}

try {
  await page.goto(SETUP)
  await page.getByLabel('Email').fill('ada@example.com')
  await page.getByLabel('Password', { exact: true }).fill('correct horse battery staple')
  await shot('sign-up')
  await page.getByRole('button', { name: 'Create account' }).click()

  await page.getByRole('link', { name: 'New project' }).first().click()
  await page.getByLabel('Git URL').fill(REPOSITORY)
  await page.getByLabel('Git URL').blur()
  await page.getByLabel('Project name').fill('from-browser')
  await page.getByText('npm build script').waitFor() // what was detected
  await shot('new-project')
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()

  const log = page.getByRole('log')
  await log.getByText('step 1', { exact: true }).waitFor()
  await shot('building')
  await log.getByText('step 5', { exact: true }).waitFor()
  await page.getByText('Ready', { exact: true }).first().waitFor()
  await shot('ready')
  // A long log that has ended is shown to its last line.
  await page.reload()
  await log.getByText('step 5', { exact: true }).waitFor()

  const link = page.getByRole('link', { name: /^from-browser\.localhost/ }).first()
  const href = await link.getAttribute('href')
  const site = await context.newPage()
  await site.goto(href)
  assert.equal(await site.textContent('h1'), 'from the browser')
  await site.close()

  await page.goto(new URL('/dashboard/', SETUP).href)
  await page.getByText('from-browser').first().waitFor()
  await shot('projects')
  assert.deepEqual(faults, [])
  console.log('signed up, created a project, watched the log, opened the site')
} catch (error) {
  await page.screenshot({ path: '/tmp/mini-vercel-browser-failure.png' })
  console.error(error, faults, await page.locator('body').innerText())
  process.exitCode = 1
} finally {
  await browser.close()
}
