import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { updateProject } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queryClient } from '@/api/queries'
import type { HTMLHandling, NotFound, Project, ProjectPatch } from '@/api/types'
import { frameworks } from '@/frameworks/frameworks'
import { PageTitle, Section } from '@/shell/PageTitle'
import { Button } from '@/ui/Button'
import { FormError, SelectField, TextField } from '@/ui/Field'
import { toast } from '@/ui/toast'

import { AccessSettings } from './AccessSettings'
import { DeleteProject } from './DeleteProject'
import { useProject } from './ProjectLayout'
import { changesOf, formOf, type SettingsForm } from './settingsForm'

const names = [
  'name',
  'gitURL',
  'productionBranch',
  'rootDirectory',
  'framework',
  'installCommand',
  'buildCommand',
  'outputDirectory',
  'nodeVersion',
  'htmlHandling',
  'notFound',
  'strictRules',
  'earlyHints',
] as const

export function Component() {
  const project = useProject()
  return (
    <div className="page flex narrow flex-col gap-8">
      <PageTitle title="Settings" tab={`Settings · ${project.name}`} />
      {/* A change made elsewhere is not to overwrite what is being typed. */}
      <Settings key={project.id} project={project} />
      <AccessSettings key={`access-${project.id}`} project={project} />
      <DeleteProject project={project} />
    </div>
  )
}

function Settings({ project }: { project: Project }) {
  const [form, setForm] = useState<SettingsForm>(() => formOf(project))
  const changes = changesOf(project, form)
  const save = useMutation({
    mutationFn: (patch: ProjectPatch) => updateProject(project.id, patch),
    onSuccess: async (next) => {
      queryClient.setQueryData(['project', project.subDomain], next)
      setForm(formOf(next))
      toast.done('The settings are saved.')
      await queryClient.invalidateQueries({ queryKey: ['projects'] })
    },
  })
  const errors = fieldErrors(save.error, names)
  const text = (name: keyof SettingsForm) => ({
    name,
    value: form[name],
    error: errors.of[name],
    autoComplete: 'off',
    spellCheck: false,
    onChange: (event: { target: { value: string } }) =>
      setForm({ ...form, [name]: event.target.value }),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (changes) save.mutate(changes)
  }
  return (
    <form className="flex flex-col gap-8" onSubmit={submit}>
      <Section title="General">
        <div className="grid gap-4 card p-5 sm:grid-cols-2">
          <TextField label="Name" required {...text('name')} />
          <TextField
            label="Subdomain"
            disabled
            mono
            value={project.subDomain}
            hint="Part of every address; it stays."
          />
          <TextField label="Git URL" mono className="sm:col-span-2" {...text('gitURL')} />
          <TextField
            label="Production branch"
            {...text('productionBranch')}
            hint="Deployments of it get production; those of other branches are previews."
          />
        </div>
      </Section>
      <Section title="Build">
        <p className="-mt-2 text-ink-2">What is empty is detected with every build.</p>
        <div className="grid gap-4 card p-5 sm:grid-cols-2">
          <TextField label="Root directory" mono {...text('rootDirectory')} />
          <SelectField label="Framework" {...text('framework')}>
            <option value="">Detected</option>
            {Object.entries(frameworks).map(([id, { name }]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
            {form.framework && !frameworks[form.framework] && <option>{form.framework}</option>}
          </SelectField>
          <TextField
            label="Install command"
            mono
            placeholder="Detected"
            {...text('installCommand')}
          />
          <TextField label="Build command" mono placeholder="Detected" {...text('buildCommand')} />
          <TextField
            label="Output directory"
            mono
            placeholder="Detected"
            {...text('outputDirectory')}
          />
          <TextField label="Node version" mono placeholder="Detected" {...text('nodeVersion')} />
        </div>
      </Section>
      <Section title="Serving">
        <div className="grid gap-4 card p-5 sm:grid-cols-2">
          <SelectField label="HTML files answer at" {...text('htmlHandling')}>
            {htmlHandlings.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </SelectField>
          <SelectField label="Paths that are not there" {...text('notFound')}>
            {notFounds.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </SelectField>
          <SelectField label="Wrong lines of _redirects and _headers" {...text('strictRules')}>
            <option value="">Are left out, with a warning (default)</option>
            <option value="true">Fail the deployment</option>
          </SelectField>
          <SelectField
            label="Early hints"
            {...text('earlyHints')}
            hint="Over HTTP/2 and HTTP/3, browsers learn what a page preloads before it arrives."
          >
            <option value="">Are not sent (default)</option>
            <option value="true">103 with what a page preloads</option>
          </SelectField>
        </div>
      </Section>
      <FormError>{errors.form}</FormError>
      <div className="flex items-center justify-end gap-4">
        <p className="text-sm text-ink-3">Build and serving count from the next deployment on.</p>
        <Button
          type="submit"
          look="primary"
          pending={save.isPending}
          reason={changes ? undefined : 'Nothing has changed.'}
        >
          Save
        </Button>
      </div>
    </form>
  )
}

const htmlHandlings: { value: HTMLHandling | ''; label: string }[] = [
  { value: '', label: '/about, folders at /docs/ (default)' },
  { value: 'force-trailing-slash', label: '/about/' },
  { value: 'drop-trailing-slash', label: '/about, folders at /docs' },
  { value: 'none', label: 'Their own names only: /about.html' },
]

const notFounds: { value: NotFound | ''; label: string }[] = [
  { value: '', label: 'Decided by the files (default)' },
  { value: '404-page', label: 'Answer 404.html' },
  { value: 'single-page-application', label: 'Answer index.html: a single-page application' },
  { value: 'none', label: 'Answer a plain 404' },
]
