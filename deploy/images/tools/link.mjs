// Gives each program of node_modules a folder of its version, as the builder
// looks for them, tools/<program>/<version>/bin/<command>, and the newest of
// each a link in the folder of the system's programs. yarn's newest is the
// classic one, which any project understands.
//
//   node link.mjs TOOLS PROGRAMS
import { mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs'
import { join, relative } from 'node:path'

const [tools, programs] = process.argv.slice(2)
const modules = join(tools, 'node_modules')
const wanted = Object.keys({ ...manifest(tools).dependencies, ...manifest(tools).optionalDependencies })
const found = []
for (const name of readdirSync(modules).filter((n) => wanted.includes(n))) {
  const { version, bin } = manifest(join(modules, name))
  const program = name.split('-')[0]
  const commands = bin ?? { [program]: `bin/${program}` } // bun's has none
  found.push({ program, version, name, commands: program === 'corepack' ? { corepack: bin.corepack } : commands }) // without its stand-ins
}
for (const { program, version, name, commands } of found) {
  const dir = join(tools, program, version, 'bin')
  mkdirSync(dir, { recursive: true })
  for (const [command, file] of Object.entries(commands)) link(join(modules, name, file), join(dir, command))
}
mkdirSync(programs, { recursive: true })
for (const program of new Set(found.map((f) => f.program))) {
  const newest = found
    .filter((f) => f.program === program && !(program === 'yarn' && f.version >= '2'))
    .sort((a, b) => b.version.localeCompare(a.version, 'en', { numeric: true }))[0]
  for (const command of Object.keys(newest.commands)) link(join(tools, program, newest.version, 'bin', command), join(programs, command))
}

function manifest(dir) {
  return JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
}

function link(target, path) {
  symlinkSync(relative(join(path, '..'), target), path)
}
