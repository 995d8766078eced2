import { describe, expect, it } from 'vitest'

import { parseLine, plain, plainText } from './ansi'

const esc = '\u001b['
const texts = (line: string) => parseLine(line).spans.map(({ text }) => text)
const pens = (line: string) => parseLine(line).spans.map(({ pen }) => pen)

describe('parseLine', () => {
  it('leaves a line without sequences in one run', () => {
    expect(parseLine('npm run build').spans).toEqual([{ text: 'npm run build', pen: plain }])
  })

  it('has no run for an empty line', () => {
    expect(parseLine('').spans).toEqual([])
  })

  it.each([
    ['a colour', `${esc}31mred${esc}39m rest`, { color: { index: 1 } }],
    ['a bright colour', `${esc}92mgreen`, { color: { index: 10 } }],
    ['a background', `${esc}44mblue`, { background: { index: 4 } }],
    ['a bright background', `${esc}101mred`, { background: { index: 9 } }],
    [
      'several codes at once',
      `${esc}1;4;33mx`,
      { bold: true, underline: true, color: { index: 3 } },
    ],
    ['a colour of the palette', `${esc}38;5;9mx`, { color: { index: 9 } }],
    ['a colour of the cube', `${esc}38;5;208mx`, { color: { rgb: 'rgb(255 135 0)' } }],
    ['a grey of the ramp', `${esc}38;5;240mx`, { color: { rgb: 'rgb(88 88 88)' } }],
    ['an exact colour', `${esc}38;2;10;20;30mx`, { color: { rgb: 'rgb(10 20 30)' } }],
    ['an exact colour with colons', `${esc}48:2:1:2:3mx`, { background: { rgb: 'rgb(1 2 3)' } }],
    ['codes after an exact colour', `${esc}38;2;1;2;3;1mx`, { bold: true }],
    ['inverse', `${esc}7mx`, { inverse: true }],
  ])('reads %s', (_, line, expected) => {
    expect(pens(line)[0]).toMatchObject(expected)
  })

  it.each([
    ['everything by 0', `${esc}1;31ma${esc}0mb`],
    ['everything by nothing', `${esc}1;31ma${esc}mb`],
    ['bold by 22, colour by 39', `${esc}1;31ma${esc}22;39mb`],
  ])('ends %s', (_, line) => {
    expect(pens(line)[1]).toEqual(plain)
  })

  it.each([
    ['a colour out of range', `${esc}38;2;300;0;0mx`],
    ['a palette index out of range', `${esc}38;5;999mx`],
    ['a colour that is cut off', `${esc}38;2;1mx`],
    ['an unknown code', `${esc}77mx`],
  ])('ignores %s', (_, line) => {
    expect(parseLine(line).spans).toEqual([{ text: 'x', pen: plain }])
  })

  it('goes on with the pen of the line before', () => {
    const { pen } = parseLine(`${esc}31mfirst`)
    expect(parseLine('second', pen).spans).toEqual([
      { text: 'second', pen: expect.objectContaining({ color: { index: 1 } }) },
    ])
  })

  it('keeps markup as text', () => {
    expect(texts(`<img src=x onerror=alert(1)>${esc}1m<b>`)).toEqual([
      '<img src=x onerror=alert(1)>',
      '<b>',
    ])
  })
})

describe('plainText', () => {
  it.each([
    ['cursor movements', `a${esc}2K${esc}1Gb`, 'ab'],
    ['private modes', `${esc}?25lhidden${esc}?25h`, 'hidden'],
    ['a title', '\u001b]0;title\u0007text', 'text'],
    ['a link', '\u001b]8;;https://example.com\u001b\\text\u001b]8;;\u001b\\', 'text'],
    ['a string that never ends', 'text\u001b]0;title', 'text'],
    ['a sequence that is cut off', `text${esc}3`, 'text'],
    ['an escape at the end', 'text\u001b', 'text'],
    ['a charset', '\u001b(Btext', 'text'],
    ['other control characters', 'a\u0000b\u0008c\u007fd\u0085e', 'abcde'],
    ['nothing of a tab', 'a\tb', 'a\tb'],
    ['nothing of other scripts', '日本語 ✓ 🎉', '日本語 ✓ 🎉'],
  ])('removes %s', (_, line, expected) => {
    expect(plainText(line)).toBe(expected)
  })

  it('shows the last state of a progress bar', () => {
    expect(plainText('10 %\r50 %\r100 %')).toBe('100 %')
    expect(plainText('text of Windows\r')).toBe('text of Windows')
  })

  it('takes hostile lines in linear time', () => {
    const line = `${esc}${'1;'.repeat(100_000)}`
    const start = performance.now()
    plainText(line + '\u001b]'.repeat(20_000))
    parseLine(`${esc}1`.repeat(50_000))
    expect(performance.now() - start).toBeLessThan(1000)
  })
})
