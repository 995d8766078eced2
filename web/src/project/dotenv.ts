export type Pair = { key: string; value: string }
export type DotenvProblem = { line: number; text: string }

const name = /^[A-Za-z_][A-Za-z0-9_]*$/

// parseDotenv reads the text of a .env file: KEY=value lines, "export " before
// them, # comments, and quotes, of which double ones know \n and may span lines.
// Of a key that comes twice the last one counts.
export function parseDotenv(text: string): { pairs: Pair[]; problems: DotenvProblem[] } {
  const pairs = new Map<string, string>()
  const problems: DotenvProblem[] = []
  const lines = text.replace(/\r\n?/g, '\n').split('\n')
  for (let i = 0; i < lines.length; i++) {
    const at = i + 1
    const line = (lines[i] ?? '').trim()
    if (line === '' || line.startsWith('#')) continue
    const equals = line.indexOf('=')
    const key = line
      .slice(0, Math.max(equals, 0))
      .replace(/^export\s+/, '')
      .trim()
    if (equals < 0 || !name.test(key)) {
      problems.push({ line: at, text: line.slice(0, 40) })
      continue
    }
    let rest = line.slice(equals + 1).trim()
    const quote = /^["'`]/.exec(rest)?.[0]
    if (!quote) {
      pairs.set(key, rest.replace(/\s+#.*$/, ''))
      continue
    }
    let end = closing(rest, quote)
    const first = i
    while (end < 0 && i + 1 < lines.length) {
      i++
      rest += `\n${lines[i] ?? ''}`
      end = closing(rest, quote)
    }
    if (end < 0) {
      problems.push({ line: at, text: line.slice(0, 40) })
      i = first
      continue
    }
    const value = rest.slice(1, end)
    pairs.set(key, quote === '"' ? unescape(value) : value)
  }
  return { pairs: [...pairs].map(([key, value]) => ({ key, value })), problems }
}

function closing(text: string, quote: string): number {
  for (let i = 1; i < text.length; i++) {
    if (text[i] === '\\' && quote === '"') i++
    else if (text[i] === quote) return i
  }
  return -1
}

function unescape(value: string): string {
  return value.replace(/\\([nrt"\\$])/g, (_, letter: string) => {
    switch (letter) {
      case 'n':
        return '\n'
      case 'r':
        return '\r'
      case 't':
        return '\t'
      default:
        return letter
    }
  })
}

export function isEnvName(key: string): boolean {
  return name.test(key)
}
