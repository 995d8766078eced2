import { describe, expect, it } from 'vitest'

import { aDeployment } from '@/testing/fixtures'

import { count, size } from './size'
import { hostOf, nameOfRepository, shortCommit, shortRepository, title } from './source'
import { ago, duration } from './time'

describe('duration', () => {
  it.each([
    [-5, '< 0.1s'],
    [30, '< 0.1s'],
    [430, '0.4s'],
    [9990, '9.9s'],
    [12_900, '12s'],
    [59_999, '59s'],
    [64_000, '1m 04s'],
    [3_599_999, '59m 59s'],
    [7_500_000, '2h 05m'],
  ])('writes %i ms as %s', (milliseconds, expected) => {
    expect(duration(milliseconds)).toBe(expected)
  })
})

describe('ago', () => {
  const now = new Date('2026-06-15T12:00:00')
  it.each([
    [new Date('2026-06-15T12:00:03'), 'just now'],
    [new Date('2026-06-15T11:59:56'), 'just now'],
    [new Date('2026-06-15T11:59:30'), '30s ago'],
    [new Date('2026-06-15T11:48:00'), '12m ago'],
    [new Date('2026-06-15T09:00:00'), '3h ago'],
    [new Date('2026-06-13T12:00:00'), '2d ago'],
  ])('says of %s: %s', (at, expected) => {
    expect(ago(at, now)).toBe(expected)
  })

  it('gives a date for what is older than a week, with the year if it is another', () => {
    expect(ago(new Date('2026-05-01T12:00:00'), now)).not.toContain('2026')
    expect(ago(new Date('2025-05-01T12:00:00'), now)).toContain('2025')
  })
})

describe('size', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [1024 * 1024 - 1, '1 MiB'],
    [20.25 * 1024 * 1024, '20.3 MiB'],
    [512 * 1024 * 1024, '512 MiB'],
    [5 * 1024 ** 3, '5 GiB'],
  ])('writes %d bytes as %s', (bytes, expected) => {
    expect(size(bytes)).toBe(expected)
  })
})

describe('count', () => {
  it('agrees with its number', () => {
    expect(count(1, 'file')).toBe('1 file')
    expect(count(12_034, 'file')).toBe('12,034 files')
    expect(count(2, 'variable is', 'variables are')).toBe('2 variables are')
  })
})

describe('names of sources', () => {
  it.each([
    ['https://github.com/ada/blog.git', 'blog'],
    ['https://github.com/ada/blog/', 'blog'],
    ['file:///srv/git/site', 'site'],
    ['', ''],
  ])('makes a project name of %s', (url, expected) => {
    expect(nameOfRepository(url)).toBe(expected)
  })

  it('shortens what everybody knows', () => {
    expect(shortCommit('0123456789abcdef')).toBe('0123456')
    expect(shortRepository('https://github.com/ada/blog.git')).toBe('github.com/ada/blog')
    expect(hostOf('http://blog.localhost:8001/')).toBe('blog.localhost:8001')
  })

  it('calls a deployment by the first line of its message, or by what it is', () => {
    expect(title(aDeployment({ source: { message: 'One\n\nTwo' } }))).toBe('One')
    expect(title(aDeployment({ source: { branch: 'next' } }))).toBe('Branch next')
    expect(title(aDeployment({ source: {}, kind: 'files' }))).toBe('Uploaded files')
  })
})
