// Shows /openapi.json. Everything becomes a text node: nothing of the document
// is ever taken for markup.

const methods = ['get', 'post', 'put', 'patch', 'delete']
const state = document.getElementById('state')
const main = document.getElementById('operations')
const contents = document.getElementById('contents')
const search = document.getElementById('search')

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) node.setAttribute(key, value)
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ''))
  return node
}

let schemas = {}
const resolve = (schema) => (schema?.$ref ? schemas[schema.$ref.split('/').pop()] : schema)
const nameOf = (schema) => schema?.$ref?.split('/').pop()

function typeOf(schema) {
  if (!schema) return 'any'
  if (schema.$ref) return nameOf(schema)
  if (schema.enum) return schema.enum.map((value) => (value === '' ? '""' : value)).join(' | ')
  if (schema.type === 'array') return `list of ${typeOf(schema.items)}`
  if (schema.type === 'object' && schema.additionalProperties && schema.additionalProperties !== true) {
    return `map to ${typeOf(schema.additionalProperties)}`
  }
  const format = schema.format && schema.format !== 'int64' ? ` (${schema.format})` : ''
  return `${schema.type ?? 'any'}${format}`
}

function bounds(schema) {
  const parts = []
  if (schema.minLength > 1) parts.push(`${schema.minLength} characters at least`)
  if (schema.maxLength !== undefined) parts.push(`${schema.maxLength} characters at most`)
  if (schema.minimum !== undefined) parts.push(`≥ ${schema.minimum}`)
  if (schema.maximum !== undefined) parts.push(`≤ ${schema.maximum}`)
  if (schema.maxItems !== undefined) parts.push(`${schema.maxItems} items at most`)
  if (schema.default !== undefined) parts.push(`default ${schema.default}`)
  return parts.join(', ')
}

function row(name, schema, required, about, seen) {
  const inner = schema?.type === 'array' ? schema.items : schema
  const resolved = resolve(inner)
  const known = nameOf(inner)
  const nested =
    resolved?.properties && !seen.includes(known)
      ? el('details', { class: 'nested' }, el('summary', {}, `Fields of ${known ?? name}`), fields(resolved, [...seen, known]))
      : null
  return el(
    'tr',
    {},
    el('td', {}, el('code', {}, name), required ? el('span', { class: 'needed' }, ' needed') : null),
    el(
      'td',
      {},
      el('span', { class: 'type' }, typeOf(schema)),
      el('div', {}, [about ?? schema?.description, bounds(schema ?? {})].filter(Boolean).join(' · ')),
      nested,
    ),
  )
}

function fields(schema, seen = []) {
  const needed = new Set(schema.required ?? [])
  const rows = Object.entries(schema.properties ?? {})
    .sort(([a], [b]) => needed.has(b) - needed.has(a))
    .map(([name, property]) => row(name, property, needed.has(name), undefined, seen))
  return el('table', {}, el('tbody', {}, ...rows))
}

function shape(schema) {
  const resolved = resolve(schema)
  if (resolved?.properties) return fields(resolved, [nameOf(schema)])
  return el('p', { class: 'type' }, typeOf(schema))
}

function needs(operation) {
  const parts = []
  const schemes = (operation.security ?? []).flatMap((entry) => Object.keys(entry))
  if (schemes.length === 0) parts.push('Nobody needs to be signed in.')
  if (operation['x-scope']) parts.push(`Needs the scope ${operation['x-scope']}.`)
  if (schemes.includes('attempt')) {
    parts.push(schemes.length === 1 ? "Takes a builder's token alone." : "Takes a builder's token, for its own deployment.")
  }
  const rate = operation['x-rate-limit']
  if (rate && rate !== 'none') parts.push(`Counts against the rate "${rate}".`)
  return parts.join(' ')
}

function answers(operation) {
  const nodes = []
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    if (status === 'default') continue
    const types = Object.entries(response.content ?? {})
    nodes.push(el('h3', {}, `${status} ${response.description ?? ''}`))
    for (const [type, content] of types) {
      if (types.length > 1 || type !== 'application/json') nodes.push(el('p', { class: 'type' }, type))
      if (content.schema) nodes.push(shape(content.schema))
    }
  }
  return nodes
}

function requestBody(operation) {
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
  if (!type) return []
  return [
    el('h3', {}, 'Body'),
    type === 'application/json' ? null : el('p', { class: 'type' }, type),
    shape(content.schema),
  ]
}

function parameters(operation) {
  const list = operation.parameters ?? []
  if (list.length === 0) return []
  const rows = list.map((p) => row(p.name, p.schema, p.required, `${p.in}${p.description ? ` · ${p.description}` : ''}`, []))
  return [el('h3', {}, 'Parameters'), el('table', {}, el('tbody', {}, ...rows))]
}

function show({ method, path, operation }) {
  const details = el(
    'details',
    { class: 'operation', id: operation.operationId },
    el(
      'summary',
      {},
      el('span', { class: `method ${method}` }, method.toUpperCase()),
      el('span', { class: 'path' }, path),
      el('span', { class: 'about' }, operation.summary ?? ''),
    ),
  )
  // Filled when it is opened: the whole document is a few thousand rows.
  details.addEventListener('toggle', () => {
    if (!details.open || details.querySelector('.body')) return
    const nodes = [
      operation.description ? el('p', {}, operation.description) : null,
      el('p', { class: 'needs' }, needs(operation)),
      ...parameters(operation),
      ...requestBody(operation),
      ...answers(operation),
    ]
    details.append(el('div', { class: 'body' }, ...nodes.filter(Boolean)))
  })
  return details
}

function render(api) {
  schemas = api.components?.schemas ?? {}
  const all = Object.entries(api.paths).flatMap(([path, item]) =>
    methods.filter((method) => item[method]).map((method) => ({ method, path, operation: item[method] })),
  )
  const sections = []
  main.replaceChildren(el('p', { class: 'intro' }, api.info.description ?? ''))
  for (const tag of api.tags) {
    const own = all.filter(({ operation }) => operation.tags?.includes(tag.name))
    const section = el('section', { id: tag.name }, el('h2', {}, tag.name), el('p', {}, tag.description ?? ''))
    const list = el('ul')
    const heading = el('h2', {}, tag.name)
    const entries = own.map((entry) => {
      const node = show(entry)
      const link = el('li', {}, el('a', { href: `#${entry.operation.operationId}` }, entry.operation.summary ?? entry.path))
      section.append(node)
      list.append(link)
      const text = `${entry.method} ${entry.path} ${entry.operation.summary} ${entry.operation.operationId}`.toLowerCase()
      return { node, link, text }
    })
    contents.append(heading, list)
    main.append(section)
    sections.push({ section, heading, list, entries })
  }
  search.addEventListener('input', () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean)
    for (const { section, heading, list, entries } of sections) {
      let any = false
      for (const { node, link, text } of entries) {
        const match = words.every((word) => text.includes(word))
        node.hidden = link.hidden = !match
        any ||= match
      }
      section.hidden = heading.hidden = list.hidden = !any
    }
  })
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)))
    if (target instanceof HTMLDetailsElement) {
      target.open = true
      target.scrollIntoView()
    }
  }
  window.addEventListener('hashchange', follow)
  follow()
}

try {
  const response = await fetch('/openapi.json')
  if (!response.ok) throw new Error(`status ${response.status}`)
  render(await response.json())
} catch (error) {
  state.textContent = `The document could not be loaded (${error.message}). Reload the page to try again.`
}
