// Logs of the mock control plane: what real tools print, colours included.
const esc = '\u001b['
const dim = (text) => `${esc}2m${text}${esc}22m`
const green = (text) => `${esc}32m${text}${esc}39m`
const cyan = (text) => `${esc}36m${text}${esc}39m`
const red = (text) => `${esc}31m${text}${esc}39m`

const script = [
  ['clone', 'system', 'Cloning https://github.com/acme/shop-frontend.git, branch main'],
  ['clone', 'stderr', "Cloning into '/workspace/src'..."],
  ['clone', 'system', 'Commit 4f2c9ab by Grace Hopper: Show the price with tax in the cart'],
  ['detect', 'system', 'Vite, installed with npm from package-lock.json, Node 20.20.2'],
  ['install', 'system', '$ npm ci'],
  [
    'install',
    'stderr',
    'npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory.',
  ],
  ['install', 'stdout', ''],
  ['install', 'stdout', 'added 214 packages, and audited 215 packages in 14s'],
  ['install', 'stdout', ''],
  ['install', 'stdout', '48 packages are looking for funding'],
  ['install', 'stdout', '  run `npm fund` for details'],
  ['build', 'system', '$ npm run build'],
  ['build', 'stdout', '> shop-frontend@2.4.0 build'],
  ['build', 'stdout', '> tsc -b && vite build'],
  ['build', 'stdout', `${cyan('vite v8.3.8 ')}${green('building for production...')}`],
  [
    'build',
    'stdout',
    `transforming (1) ${dim('index.html')}\rtransforming (148) ${dim('src/cart/Price.tsx')}\r${green('✓')} 148 modules transformed.`,
  ],
]
const files = Array.from(
  { length: 24 },
  (_, n) =>
    `${dim('dist/')}${cyan(`assets/chunk-${n}-Bk3xQ${n}.js`)}  ${dim(`${(n * 7.31 + 2).toFixed(2)} kB │ gzip: ${(n * 2.4 + 1).toFixed(2)} kB`)}`,
).map((text) => ['build', 'stdout', text])

const failure = [
  ['build', 'stderr', `${esc}41;97m ERROR ${esc}0m Build failed in 412ms`],
  ['build', 'stderr', `${red('error')} during build:`],
  [
    'build',
    'stderr',
    `${red('src/router.tsx:14:10')}: "createBrowserHistory" is not exported by "node_modules/react-router/dist/index.mjs".`,
  ],
  ['build', 'stderr', '12:  import { Routes } from "react-router"'],
  ['build', 'stderr', `${esc}1m14:  import { createBrowserHistory } from "react-router"${esc}22m`],
  ['build', 'system', 'npm run build exited with code 1'],
]
const rest = [
  ['build', 'stdout', green('✓ built in 2.31s')],
  ['process', 'system', 'Hashed 148 files, 2.3 MiB; 136 are known'],
  ['upload', 'system', 'Uploading 12 blobs, 312 KiB'],
  ['publish', 'system', 'Published'],
]

const line = (seq, start, [phase, stream, text]) => ({
  attempt: 1,
  seq,
  time: new Date(start + seq * 37).toISOString(),
  stream,
  phase,
  text,
})

// history is the log so far; `live` lines go on for ever.
export function history(deployment, long) {
  const start = Date.parse(deployment.createdAt)
  const entries = [...script, ...files]
  if (deployment.status === 'FAIL') entries.push(...failure)
  if (deployment.status === 'READY') entries.push(...rest)
  if (long) {
    for (let n = 0; n < long; n++) {
      const name = `packages/module-${n % 97}/src/index.ts`
      entries.push([
        'build',
        n % 50 === 7 ? 'stderr' : 'stdout',
        `${dim(`[${n}]`)} compiled ${cyan(name)} ${n % 1000 === 0 ? 'milestone' : ''}`,
      ])
    }
  }
  return entries.map((entry, index) => line(index + 1, start, entry))
}

export function live(deployment, seq) {
  const texts = [
    `rendering chunks (${seq})...`,
    `${green('✓')} prerendered ${cyan(`/products/${seq}`)}`,
    `${esc}38;2;255;180;0mwarn${esc}0m image ${seq}.png has no alt text`,
  ]
  return line(seq, Date.parse(deployment.createdAt), [
    'build',
    seq % 9 === 0 ? 'stderr' : 'stdout',
    texts[seq % 3],
  ])
}
