// What of a folder is never sent: what a build makes or fetches anew, what the
// builder would throw away, and what may hold secrets.
const ignoredFolders = new Set(['.git', 'node_modules', '.hg', '.svn', '.DS_Store'])
const isEnvFile = /^\.env(\..*)?$/

// isLeftOut judges one name on the way to a file.
export function isLeftOut(name: string): boolean {
  return ignoredFolders.has(name) || isEnvFile.test(name)
}

// isPathLeftOut judges a whole path, such as a folder picker gives.
export function isPathLeftOut(path: string): boolean {
  return path.split('/').some(isLeftOut)
}
