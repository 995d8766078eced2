import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'

import { replaceEnv } from '@/api/calls'
import { fieldErrors } from '@/api/error'
import { queryClient } from '@/api/queries'
import type { EnvVar, Project } from '@/api/types'
import { count } from '@/format/size'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { CheckField, FormError, TextArea } from '@/ui/Field'
import { toast } from '@/ui/toast'

import { parseDotenv } from './dotenv'
import { EnvironmentChoice, type Where } from './EnvironmentChoice'

type EnvPasteProps = { project: Project; known: EnvVar[]; onClose: () => void }

// EnvPaste takes the text of a .env file. Variables that it does not name stay
// as they are.
export function EnvPaste({ project, known, onClose }: EnvPasteProps) {
  const [text, setText] = useState('')
  const [secret, setSecret] = useState(true)
  const [where, setWhere] = useState<Where>(['production', 'preview'])
  const { pairs, problems } = parseDotenv(text)
  const replaced = pairs.filter(({ key }) => known.some((variable) => variable.key === key)).length
  const save = useMutation({
    mutationFn: () => {
      // All variables are given at once; one without a value keeps its own.
      const kept = known
        .filter(({ key }) => !pairs.some((pair) => pair.key === key))
        .map(({ key, secret: isSecret, environments }) => ({ key, secret: isSecret, environments }))
      const pasted = pairs.map(({ key, value }) => {
        const wasSecret = known.some((variable) => variable.key === key && variable.secret)
        return { key, value, secret: secret || wasSecret, environments: where }
      })
      return replaceEnv(project.id, [...kept, ...pasted])
    },
    onSuccess: () => {
      toast.done(`${count(pairs.length, 'variable')} saved.`)
      onClose()
    },
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['env', project.id] }),
  })
  const reason =
    pairs.length === 0
      ? 'Paste lines such as KEY=value first.'
      : where.length === 0
        ? 'Choose an environment first.'
        : undefined
  return (
    <Dialog
      title="Paste a .env file"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            pending={save.isPending}
            reason={reason}
            onClick={() => save.mutate()}
          >
            Save {count(pairs.length, 'variable')}
          </Button>
        </>
      }
    >
      <TextArea
        label="Contents"
        rows={8}
        spellCheck={false}
        autoComplete="off"
        placeholder={'API_URL=https://api.example.com\nAPI_KEY="…"'}
        value={text}
        onChange={(event) => setText(event.target.value)}
        error={
          problems.length > 0
            ? `Not understood: ${problems.map(({ line }) => `line ${line}`).join(', ')}`
            : undefined
        }
        hint={
          replaced > 0 ? `${count(replaced, 'variable is', 'variables are')} replaced.` : undefined
        }
      />
      <EnvironmentChoice value={where} onChange={setWhere} />
      <CheckField
        label="Secret: masked in logs, never shown again"
        checked={secret}
        onChange={(event) => setSecret(event.target.checked)}
      />
      <FormError>{fieldErrors(save.error, []).form}</FormError>
    </Dialog>
  )
}
