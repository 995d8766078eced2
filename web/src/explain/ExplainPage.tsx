import { useQuery } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { useSearchParams } from 'react-router'

import { fieldErrors } from '@/api/error'
import { queries } from '@/api/queries'
import { useProject } from '@/project/ProjectLayout'
import { PageTitle } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { CommandLine } from '@/ui/CopyButton'
import { SelectField, TextField } from '@/ui/Field'
import { Empty, Failed, SkeletonRows } from '@/ui/Loaded'

import { Chain } from './Chain'
import { addressOf, questionOf, searchOf, type Question } from './question'

// What is asked stands in the address bar: an explanation can be shared, and
// going back leads to the one before.
export function Component() {
  const project = useProject()
  const [search, setSearch] = useSearchParams()
  const asked = questionOf(search)
  return (
    <div className="page flex narrow flex-col gap-6">
      <div className="flex flex-col gap-2">
        <PageTitle title="Explain an address" tab={`Explain · ${project.name}`} />
        <p className="text-ink-2">
          What visitors get at an address, and which rule, file and header it comes from.
        </p>
      </div>
      <Asking
        key={search.toString()}
        question={asked}
        home={project.url}
        onAsk={(question) => setSearch(searchOf(question))}
      />
      {asked.url === '' && <Example home={project.url} />}
    </div>
  )
}

const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']

const encodings = [
  { value: '', label: "A browser's" },
  { value: 'br', label: 'br' },
  { value: 'zstd', label: 'zstd' },
  { value: 'gzip', label: 'gzip' },
  { value: 'identity', label: 'None' },
]

type AskingProps = { question: Question; home: string; onAsk: (question: Question) => void }

function Asking({ question, home, onAsk }: AskingProps) {
  const [form, setForm] = useState(question)
  const answer = useQuery({ ...queries.explain(question), enabled: question.url !== '' })
  const errors = fieldErrors(answer.error, ['url'])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const next = { ...form, url: addressOf(form.url, home) }
    if (searchOf(next).toString() === searchOf(question).toString()) void answer.refetch()
    else onAsk(next)
  }
  return (
    <>
      <form className="grid gap-4 card p-5 sm:grid-cols-[7rem_9rem_1fr]" onSubmit={submit}>
        <TextField
          label="Address"
          name="url"
          mono
          required
          autoFocus
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          className="sm:col-span-3"
          placeholder={`${home}/about`}
          hint={`Of any host of yours, or a path of ${home}.`}
          value={form.url}
          error={errors.of.url}
          onChange={({ target }) => setForm({ ...form, url: target.value })}
        />
        <div className="order-last flex items-end justify-end">
          <Button
            type="submit"
            look="primary"
            pending={answer.isFetching}
            reason={form.url.trim() === '' ? 'Enter an address first.' : undefined}
          >
            Explain
          </Button>
        </div>
        <SelectField
          label="Method"
          value={form.method}
          onChange={({ target }) => setForm({ ...form, method: target.value })}
        >
          {methods.map((method) => (
            <option key={method}>{method}</option>
          ))}
        </SelectField>
        <SelectField
          label="Accept-Encoding"
          value={form.acceptEncoding}
          onChange={({ target }) => setForm({ ...form, acceptEncoding: target.value })}
        >
          {encodings.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </SelectField>
      </form>
      {answer.data ? (
        <Chain explanation={answer.data} />
      ) : (
        <>
          {answer.isFetching && <SkeletonRows rows={6} />}
          {errors.form && !answer.isFetching && (
            <Failed
              what="The address can't be explained."
              error={answer.error}
              retry={() => void answer.refetch()}
            />
          )}
        </>
      )}
    </>
  )
}

function Example({ home }: { home: string }) {
  return (
    <Empty title="Enter an address above">
      <p className="max-w-md text-ink-2">
        For example /old/page: why is it redirected, why is it not found, who set that header? In a
        terminal:
      </p>
      <CommandLine command={`mini-vercel explain ${home}/old/page`} />
    </Empty>
  )
}
