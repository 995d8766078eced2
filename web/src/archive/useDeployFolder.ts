import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { useNavigate } from 'react-router'

import type { Environment, Project } from '@/api/types'
import { paths } from '@/paths'

import type { Folder } from './folder'
import { deployFolder, type Progress } from './upload'

type Input = { project: Project; folder: Folder; environment?: Environment }

// useDeployFolder deploys a folder and goes to the deployment's page. Leaving
// the page stops it.
export function useDeployFolder() {
  const navigate = useNavigate()
  const [progress, setProgress] = useState<Progress>()
  const abort = useRef<AbortController>(undefined)
  useEffect(() => () => abort.current?.abort(), [])
  const mutation = useMutation({
    mutationFn: ({ project, folder, environment }: Input) => {
      abort.current = new AbortController()
      return deployFolder({
        projectId: project.id,
        folder,
        environment,
        onProgress: setProgress,
        signal: abort.current.signal,
      })
    },
    onSuccess: (deployment, { project }) => void navigate(paths.deployment(project, deployment)),
    onSettled: () => setProgress(undefined),
  })
  return { ...mutation, progress }
}
