// otherHost is www.example.com for example.com, and the other way round; none
// while what is typed is no domain yet.
export function otherHost(host: string): string | undefined {
  if (!/^[^\s/:@*]+\.[^\s/:@*.]{2,}$/.test(host)) return undefined
  return /^www\../i.test(host) ? host.slice(4) : `www.${host}`
}
