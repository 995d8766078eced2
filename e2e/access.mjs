// Protects a project's previews, gets in by the password and by a share link,
// and is shut out again by a new password.
import assert from 'node:assert/strict'
import { launch, watch } from './chromium.mjs'

const { SETUP, PRODUCTION, PREVIEW, DEPLOYMENT, SCREENSHOTS } = process.env
const browser = await launch()
const schemes = ['light', 'dark']
const sizes = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } }

// shot takes pictures of a page as it is, in both schemes and sizes; of a part
// of it where one is named.
async function shot(page, name, part) {
  if (!SCREENSHOTS) return
  for (const scheme of schemes) {
    await page.emulateMedia({ colorScheme: scheme })
    for (const [size, viewport] of Object.entries(sizes)) {
      await page.setViewportSize(viewport)
      await part?.scrollIntoViewIfNeeded()
      await page.screenshot({ path: `${SCREENSHOTS}/${name}-${size}-${scheme}.png` })
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(sizes.wide)
}

// stranger is a browser of somebody else's, without JavaScript.
async function stranger() {
  const context = await browser.newContext({ viewport: sizes.wide, javaScriptEnabled: false })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  return page
}

// visit opens an address until it answers with a status: what was changed shows
// when the edge has read it.
async function visit(page, address, status) {
  for (const deadline = Date.now() + 20_000; ; ) {
    const response = await page.goto(address)
    if (response.status() === status) return response
    assert.ok(Date.now() < deadline, `${address} answers ${response.status()}, not ${status}`)
  }
}

const context = await browser.newContext({ viewport: sizes.wide })
const page = await context.newPage()
page.setDefaultTimeout(30_000)
const faults = watch(page)
const dashboard = (path) => page.goto(new URL(`/dashboard/p/guarded${path}`, SETUP).href)
const setPassword = async (label, password) => {
  await page.getByLabel(label, { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Save access' }).click()
  await page.getByText('The protection is saved.').first().waitFor()
}

try {
  await page.goto(SETUP)
  await page.getByLabel('Email').fill('ada@example.com')
  await page.getByLabel('Password', { exact: true }).fill('correct horse battery staple')
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByText('guarded').first().waitFor()

  await dashboard('/settings')
  await page.getByLabel('Who may look').selectOption('previews')
  await shot(page, 'settings', page.getByRole('button', { name: 'Save access' }))
  await setPassword('Password', 'open sesame')

  const visitor = await stranger()
  const asked = await visit(visitor, `${PREVIEW}/docs/?a=1&b=%22`, 401)
  assert.equal(asked.headers()['cache-control'], 'no-store')
  await visitor.getByRole('heading', { name: 'This site is protected' }).waitFor()
  assert.equal(await visitor.getByLabel('Password').evaluate((e) => e === document.activeElement), true)
  await shot(visitor, 'form')
  await visitor.getByLabel('Password').fill('not it')
  await visitor.getByRole('button', { name: 'Continue' }).click()
  await visitor.getByRole('alert').waitFor()
  await shot(visitor, 'form-wrong')
  await visitor.getByLabel('Password').fill('open sesame')
  await visitor.keyboard.press('Enter')
  await visitor.getByRole('heading', { name: 'docs' }).waitFor()
  assert.equal(visitor.url(), `${PREVIEW}/docs/?a=1&b=%22`)
  const again = await visitor.goto(`${PREVIEW}/`)
  assert.equal(again.status(), 200)
  assert.equal(again.headers()['cache-control'], 'private, no-cache')
  assert.equal((await visitor.goto(PRODUCTION)).status(), 200)

  await dashboard(`/d/${DEPLOYMENT}`)
  await page.getByRole('button', { name: 'Share…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Share a link' })
  await dialog.getByRole('button', { name: 'Make a link' }).click()
  const link = await dialog.locator('code').textContent()
  await shot(page, 'share')
  const guest = await stranger()
  assert.equal((await guest.goto(link)).status(), 200)
  assert.equal(guest.url(), `${PREVIEW}/`)
  assert.equal((await guest.goto(`${PREVIEW}/docs/`)).status(), 200)

  await dashboard('/settings')
  await setPassword('New password', 'another password')
  await visit(visitor, `${PREVIEW}/`, 401)
  await visit(guest, `${PREVIEW}/`, 401)
  await visit(guest, link, 401)
  await guest.getByText('no longer good').waitFor()
  await shot(guest, 'form-link')
  assert.ok(!guest.url().includes('sesame'))

  if (SCREENSHOTS) {
    await page.goto(new URL('/dashboard/system', SETUP).href)
    await page.getByLabel('Subdomain or id').fill('guarded')
    await shot(page, 'system', page.getByRole('button', { name: 'Suspend', exact: true }))
    await page.getByRole('button', { name: 'Suspend', exact: true }).click()
    await page.getByText('guarded is suspended.').first().waitFor()
    await dashboard('')
    await page.getByRole('button', { name: 'Put it up again' }).waitFor()
    await shot(page, 'suspended')
    await page.getByRole('button', { name: 'Put it up again' }).click()
    await page.getByText('guarded is served again.').first().waitFor()
  }
  assert.deepEqual(faults, [])
  console.log('asked, let in by the password and by a link, and asked again after a new password')
} catch (error) {
  await page.screenshot({ path: '/tmp/mini-vercel-access-failure.png' })
  console.error(error, faults, await page.locator('body').innerText())
  process.exitCode = 1
} finally {
  await browser.close()
}
