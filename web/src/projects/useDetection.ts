import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { detect } from '@/api/calls'
import { useSettled } from '@/ui/useSettled'

const pauseMilliseconds = 600

// useDetection looks into a repository once its address has stopped changing.
export function useDetection(gitURL: string, branch: string, rootDirectory: string) {
  const settled = useSettled(JSON.stringify([gitURL, branch, rootDirectory]), pauseMilliseconds)
  const [url = '', ref = '', root = ''] = JSON.parse(settled) as string[]
  const query = useQuery({
    queryKey: ['detect', url, ref, root],
    queryFn: ({ signal }) =>
      detect(
        {
          gitURL: url,
          ...(ref === '' ? {} : { branch: ref }),
          ...(root === '' ? {} : { rootDirectory: root }),
        },
        signal,
      ),
    enabled: looksWhole(url),
    retry: false,
    staleTime: 300_000,
    // A changed branch or folder keeps what was seen until the answer is there.
    placeholderData: (before, beforeQuery) =>
      beforeQuery?.queryKey[1] === url ? keepPreviousData(before) : undefined,
  })
  return query
}

export type DetectionQuery = ReturnType<typeof useDetection>

// looksWhole spares a request for an address that is still being typed.
export function looksWhole(url: string): boolean {
  return /^(https?:\/\/[^\s/]+\/\S+|file:\/\/\/\S+)$/.test(url)
}
