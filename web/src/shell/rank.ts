// rank keeps the items whose text holds every word of the query, or at least
// its letters in their order, the closest first. Without a query all stay as
// they are.
export function rank<Item>(items: Item[], query: string, textOf: (item: Item) => string): Item[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return items
  return items
    .map((item) => ({ item, score: scoreOf(textOf(item).toLowerCase(), words) }))
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score)
    .map(({ item }) => item)
}

function scoreOf(text: string, words: string[]): number {
  let total = 0
  for (const word of words) {
    const score = wordScore(text, word)
    if (score === 0) return 0
    total += score
  }
  return total
}

function wordScore(text: string, word: string): number {
  const at = text.indexOf(word)
  if (at === 0) return 4
  if (at > 0) return /[\s/.-]/.test(text.charAt(at - 1)) ? 3 : 2
  let from = 0
  for (const letter of word) {
    const found = text.indexOf(letter, from)
    if (found < 0) return 0
    from = found + 1
  }
  return 1
}
