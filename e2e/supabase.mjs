// What a new user does where people sign in by Supabase: signs up, confirms,
// deploys, loses a session and the password, and goes on through an outage.
import assert from 'node:assert/strict'
import { launch } from './chromium.mjs'

const { SETUP, REPOSITORY, CONTROL, SCREENSHOTS } = process.env
const email = 'ada@example.com'
const old = 'correct horse battery staple'
const fresh = 'another horse entirely'
const browser = await launch()
const schemes = ['light', 'dark']
const sizes = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } }

const control = async (path) => {
  const response = await fetch(CONTROL + path, { signal: AbortSignal.timeout(30_000) })
  assert.equal(response.status, 200, path)
  return response.text()
}
const mail = () => control(`/mail?to=${email}`)
const dashboard = (path) => new URL(`/dashboard${path}`, SETUP).href

async function shot(page, name) {
  if (!SCREENSHOTS) return
  for (const scheme of schemes) {
    await page.emulateMedia({ colorScheme: scheme })
    for (const [size, viewport] of Object.entries(sizes)) {
      await page.setViewportSize(viewport)
      await page.screenshot({ path: `${SCREENSHOTS}/supabase-${name}-${size}-${scheme}.png` })
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(sizes.wide)
}

const faults = []
async function visitor() {
  const context = await browser.newContext({ viewport: sizes.wide })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => {
    // Refusals and the outage are what this is about.
    const expected = /status of 4\d\d|ERR_CONNECTION|ERR_EMPTY_RESPONSE|Failed to fetch/
    if (message.type() === 'error' && !expected.test(message.text())) faults.push(message.text())
  })
  page.on('request', (request) => {
    if (/eyJ|access_token|refresh_token=/.test(request.url())) faults.push(`a token in ${request.url()}`)
  })
  return { context, page }
}

const { context, page } = await visitor()
const signIn = async (page, password) => {
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}
const signOut = async (page) => {
  await page.getByRole('button', { name: 'Account', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
}
const home = (page) => page.getByRole('link', { name: 'New project' }).first().waitFor()

try {
  // Sign up, with the password that Supabase refuses first.
  await page.goto(SETUP)
  await page.getByRole('heading', { name: 'Create the first account' }).waitFor()
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password', { exact: true }).fill('short')
  await page.keyboard.press('Enter')
  await page.getByText('Password should be at least 8 characters.').waitFor()
  await shot(page, 'sign-up')
  await page.getByLabel('Password', { exact: true }).fill(old)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Confirm your address' }).waitFor()
  await shot(page, 'confirm')
  const link = await mail()

  // Before that: no way in.
  await page.goto(dashboard('/login'))
  await signIn(page, old)
  await page.getByText('This address is not confirmed yet').waitFor()
  await page.goto(link)
  await home(page)
  assert.equal(new URL(page.url()).search, '')
  await page.goto(link) // a second time
  await page.getByRole('heading', { name: 'The link did not work' }).waitFor()
  await shot(page, 'link')

  // What supabase-js is there for is over: a page that is opened loads none of it.
  const scripts = []
  const note = (request) => scripts.push(request.url())
  page.on('request', note)
  await page.goto(dashboard('/new'))
  await page.getByLabel('Git URL').fill(REPOSITORY)
  await page.getByLabel('Git URL').blur()
  await page.getByLabel('Project name').fill('by-supabase')
  await page.getByText('npm build script').waitFor()
  assert.deepEqual(scripts.filter((url) => /SignIn|SignUp|renew/.test(url)), [])
  page.off('request', note)
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()
  const log = page.getByRole('log')
  await log.getByText('step 1', { exact: true }).waitFor()
  await log.getByText('step 5', { exact: true }).waitFor()
  await page.getByText('Ready', { exact: true }).first().waitFor()

  // The session ends while a page is open: it is prolonged, and the page never
  // knows.
  await page.goto(dashboard('/p/by-supabase/env'))
  const addVariable = async (name) => {
    await page.getByRole('button', { name: 'Add variable' }).click()
    await page.getByLabel('Name', { exact: true }).fill(name)
    await page.getByLabel('Value', { exact: true }).fill('1')
  }
  const save = () => page.getByRole('button', { name: 'Save', exact: true }).click()
  await addVariable('FIRST')
  await context.clearCookies()
  await save()
  await page.getByText('FIRST', { exact: true }).waitFor()

  // It ends for good: one signs in over the page, and goes on.
  await addVariable('SECOND')
  await context.clearCookies()
  await page.evaluate(() => localStorage.clear())
  await save()
  const dialog = page.getByRole('dialog', { name: 'Sign in again' })
  await dialog.waitFor()
  await shot(page, 'again')
  assert.equal(await dialog.getByLabel('Email').inputValue(), email)
  await dialog.getByLabel('Password', { exact: true }).fill(old)
  await page.keyboard.press('Enter')
  await dialog.waitFor({ state: 'detached' })
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'SECOND')
  await save()
  await page.getByText('SECOND', { exact: true }).waitFor()

  // Someone at another browser, who will be signed out by the new password.
  const other = await visitor()
  await other.page.goto(dashboard('/account'))
  await signIn(other.page, old)
  await other.page.getByRole('heading', { name: 'Account' }).waitFor()
  assert.equal(new URL(other.page.url()).pathname, '/dashboard/account')
  await other.page.getByRole('link', { name: 'Change the password' }).waitFor()
  await shot(other.page, 'account')

  // The password is forgotten.
  await signOut(page)
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('supabase')).length), 0)
  await signIn(page, 'not this one')
  await page.getByText('do not belong together').waitFor()
  await shot(page, 'sign-in')
  await page.getByRole('link', { name: 'Forgot your password?' }).click()
  await page.getByLabel('Email').fill(email)
  await shot(page, 'reset')
  await page.getByRole('button', { name: 'Send the link' }).click()
  await page.getByRole('heading', { name: 'Look into your mail' }).waitFor()
  const reset = await mail()
  await page.goto(reset)
  await page.getByLabel('New password').fill(old)
  await page.keyboard.press('Enter')
  await page.getByText('This is the password that you have').waitFor()
  await shot(page, 'new-password')
  assert.equal(new URL(page.url()).search, '')
  await page.getByLabel('New password').fill(fresh)
  await page.keyboard.press('Enter')
  await home(page)
  await page.getByText('Your password is changed.').first().waitFor()
  await other.page.goto(dashboard('/account'))
  await other.page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await signIn(other.page, old)
  await other.page.getByText('do not belong together').waitFor()

  // A link that was asked for elsewhere.
  await other.page.getByRole('link', { name: 'Forgot your password?' }).click()
  await other.page.getByLabel('Email').fill(email)
  await other.page.getByRole('button', { name: 'Send the link' }).click()
  await other.page.getByRole('heading', { name: 'Look into your mail' }).waitFor()
  const stranger = await visitor()
  await stranger.page.goto(await mail())
  await stranger.page.getByText('asked for in another browser').waitFor()
  await stranger.context.close()
  await other.context.close()

  // Supabase has other keys from now on.
  await control('/rotate')
  await signOut(page)
  await signIn(page, fresh)
  await home(page)

  // Supabase is away.
  await control('/stop')
  await page.reload()
  await home(page)
  await page.getByText('by-supabase').first().waitFor()
  await page.goto(dashboard('/p/by-supabase/env'))
  await addVariable('THIRD')
  await save()
  await page.getByText('THIRD', { exact: true }).waitFor()
  const late = await visitor()
  await late.page.goto(dashboard('/login'))
  await signIn(late.page, fresh)
  await late.page.getByText('Supabase does not answer').waitFor()
  await shot(late.page, 'away')
  await page.goto(dashboard('/account'))
  await signOut(page) // an outage keeps nobody in
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('supabase')).length), 0)
  await control('/start')
  await signIn(late.page, fresh)
  await home(late.page)

  // Without an account: how to get one.
  await signOut(late.page)
  await late.page.goto(dashboard('/signup'))
  await late.page.getByLabel('Email').fill('eve@example.com')
  await late.page.getByLabel('Password', { exact: true }).fill(old)
  await late.page.getByLabel('Invitation code').fill('MADEUP')
  await late.page.keyboard.press('Enter')
  await late.page.getByRole('heading', { name: 'Confirm your address' }).waitFor()
  await late.page.goto(await control('/mail?to=eve@example.com'))
  await late.page.getByText('An invitation is needed').waitFor()
  await shot(late.page, 'refused')
  await late.page.getByRole('button', { name: 'Try again' }).click()
  await late.page.getByText('eve@example.com is signed in to Supabase, but has no account here').waitFor()
  await late.page.getByRole('button', { name: 'Sign in as somebody else' }).click()
  await signIn(late.page, fresh)
  await home(late.page)

  assert.deepEqual(faults, [])
  console.log('signed up, confirmed, deployed, went on after the session ended, reset the password, went through an outage')
} catch (error) {
  await page.screenshot({ path: '/tmp/mini-vercel-supabase-failure.png' })
  for (const open of browser.contexts().flatMap((context) => context.pages())) {
    console.error(open.url(), await open.locator('body').innerText().catch(() => ''))
  }
  console.error(error, faults)
  process.exitCode = 1
} finally {
  await browser.close()
}
