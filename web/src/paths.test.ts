import { describe, expect, it } from 'vitest'

import { paths, safeNext } from './paths'

describe('paths', () => {
  it('use the names that people use', () => {
    const project = { subDomain: 'blog' }
    const deployment = { hostId: '4f2c9ab1' }
    expect(paths.project(project)).toBe('/p/blog')
    expect(paths.env(project)).toBe('/p/blog/env')
    expect(paths.domains(project)).toBe('/p/blog/domains')
    expect(paths.deployment(project, deployment)).toBe('/p/blog/d/4f2c9ab1')
    expect(paths.logLine(project, deployment, 12)).toBe('/p/blog/d/4f2c9ab1#L12')
    expect(paths.login('/p/blog?status=FAIL')).toBe('/login?next=%2Fp%2Fblog%3Fstatus%3DFAIL')
  })
})

describe('safeNext', () => {
  it.each([
    ['/p/blog', '/p/blog'],
    [null, '/'],
    ['', '/'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['javascript:alert(1)', '/'],
  ])('leads from %s to %s', (next, expected) => {
    expect(safeNext(next)).toBe(expected)
  })
})
