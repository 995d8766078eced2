import { describe, expect, it } from 'vitest'

import { parseDotenv } from './dotenv'

const values = (text: string) =>
  Object.fromEntries(parseDotenv(text).pairs.map(({ key, value }) => [key, value]))

describe('parseDotenv', () => {
  it.each([
    ['plain values', 'A=1\nB = two words ', { A: '1', B: 'two words' }],
    ['empty values', 'A=\nB=""', { A: '', B: '' }],
    ['export', 'export A=1', { A: '1' }],
    ['comments and empty lines', '# no\n\nA=1 # yes\nB=a#b', { A: '1', B: 'a#b' }],
    ['double quotes', 'A="x # y"\nB="1\\n2"\nC="a \\"b\\""', { A: 'x # y', B: '1\n2', C: 'a "b"' }],
    ['single quotes', "A='x\\n'", { A: 'x\\n' }],
    ['values over several lines', 'A="one\ntwo"\nB=3', { A: 'one\ntwo', B: '3' }],
    ['line ends of Windows', 'A=1\r\nB=2\r\n', { A: '1', B: '2' }],
    ['equals signs in values', 'A=b=c', { A: 'b=c' }],
    ['the last of two', 'A=1\nA=2', { A: '2' }],
  ])('reads %s', (_, text, expected) => {
    expect(values(text)).toEqual(expected)
  })

  it('names the lines that it does not understand', () => {
    const { pairs, problems } = parseDotenv('A=1\nnonsense\n1A=2\nB="open\nC=3')
    expect(problems.map(({ line }) => line)).toEqual([2, 3, 4])
    expect(pairs.map(({ key }) => key)).toEqual(['A', 'C'])
  })
})
