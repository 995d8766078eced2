const block = 512
const encoder = new TextEncoder()

export type TarEntry = { path: string; size: number; modifiedSeconds: number }

// tarHeader is the header of a plain file in the ustar format (POSIX.1-1988),
// after a pax header (POSIX.1-2001) where path or size do not fit.
export function tarHeader({ path, size, modifiedSeconds }: TarEntry): Uint8Array<ArrayBuffer> {
  const name = encoder.encode(path)
  const split = splitName(name)
  const fits = split !== undefined && size < 8 ** 11
  const header = ustar(
    fits ? split : { name: name.slice(0, 100), prefix: new Uint8Array() },
    fits ? size : Math.min(size, 8 ** 11 - 1),
    modifiedSeconds,
    '0',
  )
  if (fits) return header
  const records = [paxRecord('path', path), paxRecord('size', String(size))]
  const body = padded(concat(records))
  const length = records.reduce((sum, record) => sum + record.length, 0)
  const pax = ustar({ name: encoder.encode('pax'), prefix: new Uint8Array() }, length, 0, 'x')
  return concat([pax, body, header])
}

// tarPadding fills a file's last block.
export function tarPadding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((block - (size % block)) % block)
}

export const tarEnd = new Uint8Array(2 * block)

type Name = { name: Uint8Array; prefix: Uint8Array }

// splitName cuts a path of up to 256 bytes at a slash into the two fields that
// ustar has for it.
function splitName(path: Uint8Array): Name | undefined {
  if (path.length <= 100) return { name: path, prefix: new Uint8Array() }
  for (let at = Math.max(0, path.length - 101); at <= Math.min(155, path.length - 2); at++) {
    if (path[at] === 0x2f && at > 0) return { prefix: path.slice(0, at), name: path.slice(at + 1) }
  }
  return undefined
}

function ustar({ name, prefix }: Name, size: number, modified: number, type: string) {
  const header = new Uint8Array(block)
  const put = (at: number, text: string) => header.set(encoder.encode(text), at)
  header.set(name, 0)
  put(100, octal(0o644, 7))
  put(108, octal(0, 7))
  put(116, octal(0, 7))
  put(124, octal(size, 11))
  put(136, octal(Math.max(0, Math.floor(modified)), 11))
  put(148, '        ')
  put(156, type)
  put(257, 'ustar\u000000')
  header.set(prefix, 345)
  const sum = header.reduce((total, byte) => total + byte, 0)
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `)
  return header
}

function octal(n: number, digits: number): string {
  return `${n.toString(8).padStart(digits, '0')}\0`
}

// paxRecord is "LENGTH KEY=VALUE\n", where the length counts itself.
function paxRecord(key: string, value: string): Uint8Array {
  const rest = encoder.encode(` ${key}=${value}\n`)
  let length = rest.length + 1
  while (length !== rest.length + String(length).length)
    length = rest.length + String(length).length
  return concat([encoder.encode(String(length)), rest])
}

function padded(bytes: Uint8Array): Uint8Array {
  return concat([bytes, tarPadding(bytes.length)])
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
