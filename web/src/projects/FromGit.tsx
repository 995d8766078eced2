import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { useNavigate } from 'react-router'

import { createProject, deploy } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queryClient } from '@/api/queries'
import type { BuildSettings } from '@/api/types'
import { randomKey } from '@/deployment/useDeploy'
import { nameOfRepository } from '@/format/source'
import { paths } from '@/paths'
import { settingNames } from '@/project/buildSettings'
import { Button } from '@/ui/Button'
import { FormError, TextField } from '@/ui/Field'

import { BranchField } from './BranchField'
import { DetectionCard } from './DetectionCard'
import { useDetection } from './useDetection'

// FromGit needs one field: the repository's address. The rest is found out, and
// can be changed before anything is created.
export function FromGit() {
  const navigate = useNavigate()
  const [gitURL, setGitURL] = useState('')
  const [ownName, setName] = useState<string>()
  const [branch, setBranch] = useState('')
  // Only what a person has changed is sent; what is not is detected anew with
  // every build.
  const [settings, setSettings] = useState<BuildSettings>({})

  const url = gitURL.trim()
  const name = ownName ?? nameOfRepository(url)
  const detection = useDetection(url, branch, settings.rootDirectory ?? '')
  const productionBranch = branch || detection.data?.defaultBranch

  const create = useMutation({
    mutationFn: async () => {
      const project = await createProject({
        name,
        gitURL: url,
        ...(productionBranch ? { productionBranch } : {}),
        ...settings,
      })
      void queryClient.invalidateQueries({ queryKey: ['projects'] })
      return { project, deployment: await deploy({ projectId: project.id }, randomKey()) }
    },
    onSuccess: ({ project, deployment }) => void navigate(paths.deployment(project, deployment)),
  })
  const errors = fieldErrors(create.error, ['gitURL', 'name', 'productionBranch', ...settingNames])
  const detectionErrors = fieldErrors(detection.error, ['gitURL', 'branch'])

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (url !== '' && !create.isPending) create.mutate()
  }
  return (
    <form className="flex flex-col gap-6" onSubmit={submit}>
      <TextField
        label="Git URL"
        name="gitURL"
        inputMode="url"
        mono
        required
        autoFocus
        autoComplete="off"
        spellCheck={false}
        placeholder="https://github.com/you/site"
        hint="The address that you would clone."
        value={gitURL}
        onChange={(event) => {
          setGitURL(event.target.value)
          setBranch('')
          setSettings({})
          create.reset()
        }}
        error={errors.of.gitURL ?? detectionErrors.of.gitURL}
      />
      <div className="grid gap-6 sm:grid-cols-2 sm:gap-4">
        <TextField
          label="Project name"
          name="name"
          required
          autoComplete="off"
          spellCheck={false}
          value={name}
          onChange={(event) => setName(event.target.value)}
          error={errors.of.name}
        />
        <BranchField
          branches={detection.data?.branches}
          placeholder={detection.data?.defaultBranch ?? 'The default branch'}
          value={branch}
          onChange={setBranch}
          error={errors.of.productionBranch ?? detectionErrors.of.branch}
        />
      </div>
      {url !== '' && !errors.of.gitURL && (
        <DetectionCard
          detection={detection}
          problem={detectionErrors.form}
          settings={settings}
          onSettings={setSettings}
          errors={errors.of}
        />
      )}
      <FormError>{errors.form}</FormError>
      <div className="flex justify-end">
        <Button
          type="submit"
          look="primary"
          pending={create.isPending}
          reason={url === '' ? 'Give the git URL first.' : undefined}
          className="max-sm:w-full"
        >
          Deploy
        </Button>
      </div>
    </form>
  )
}
