// A folder that is chosen in the dashboard goes live; its archive goes to where
// uploads go, another origin perhaps.
import assert from 'node:assert/strict'
import { launch, watch } from './chromium.mjs'

const { SETUP, FOLDER, UPLOADS } = process.env
const browser = await launch()
const page = await browser.newPage()
page.setDefaultTimeout(30_000)
const faults = watch(page)
const uploads = []
page.on('request', (request) => {
  if (request.method() === 'PUT') uploads.push(new URL(request.url()).origin)
})

try {
  await page.goto(SETUP)
  await page.getByLabel('Email').fill('ada@example.com')
  await page.getByLabel('Password', { exact: true }).fill('correct horse battery staple')
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('link', { name: 'New project' }).first().click()
  await page.getByRole('tab', { name: 'Folder' }).click()
  await page.getByLabel('Folder', { exact: true }).and(page.locator('input')).setInputFiles(FOLDER)
  await page.getByLabel('Project name').fill('from-folder')
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()
  await page.getByText('Ready', { exact: true }).first().waitFor()
  assert.deepEqual(uploads, [UPLOADS])
  assert.deepEqual(faults, [])
  console.log(`uploaded to ${uploads}`)
} catch (error) {
  await page.screenshot({ path: '/tmp/mini-vercel-browser-failure.png' })
  console.error(error, faults, uploads, await page.locator('body').innerText())
  process.exitCode = 1
} finally {
  await browser.close()
}
