const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

// size writes bytes as 512 B, 1.5 KiB, 20 MiB.
export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  const text = unit === 0 || value >= 99.95 ? Math.round(value).toString() : trim(value.toFixed(1))
  return `${text} ${units[unit]}`
}

const grouped = new Intl.NumberFormat('en')

// count writes a number with its noun: 1 file, 12,034 files.
export function count(n: number, singular: string, plural = `${singular}s`): string {
  return `${grouped.format(n)} ${n === 1 ? singular : plural}`
}

export function number(n: number): string {
  return grouped.format(n)
}

function trim(text: string): string {
  return text.replace(/\.0$/, '')
}
