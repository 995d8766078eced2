// Prints what each chunk weighs compressed, and fails the build where the first
// load (the entry and everything it imports statically) is over its budget.
import { readFileSync, readdirSync } from 'node:fs'
import { brotliCompressSync, gzipSync } from 'node:zlib'

const budgetKiB = 200
const assets = new URL('../dist/assets/', import.meta.url)
const html = readFileSync(new URL('../dist/index.html', import.meta.url), 'utf8')
const first = new Set([...html.matchAll(/assets\/([^"]+\.js)"/g)].map((match) => match[1]))

const kib = (bytes) => (bytes / 1024).toFixed(1).padStart(8)
let firstGzip = 0
let firstBrotli = 0
for (const name of readdirSync(assets).filter((file) => file.endsWith('.js'))) {
  const bytes = readFileSync(new URL(name, assets))
  const gzip = gzipSync(bytes, { level: 9 }).length
  const brotli = brotliCompressSync(bytes).length
  if (first.has(name)) {
    firstGzip += gzip
    firstBrotli += brotli
  }
  process.stdout.write(
    `${kib(gzip)} KiB gzip ${kib(brotli)} KiB br  ${first.has(name) ? '*' : ' '} ${name}\n`,
  )
}
process.stdout.write(
  `First load (*): ${(firstGzip / 1024).toFixed(1)} KiB gzip, ${(firstBrotli / 1024).toFixed(1)} KiB brotli; budget ${budgetKiB} KiB\n`,
)
if (firstGzip > budgetKiB * 1024) {
  process.stderr.write(
    `The first load is over ${budgetKiB} KiB. Split a page off, or do without a package.\n`,
  )
  process.exit(1)
}
