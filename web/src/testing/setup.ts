import '@testing-library/jest-dom/vitest'
import { cleanup, configure } from '@testing-library/react'
import { afterEach, beforeEach, vi } from 'vitest'

import { queryClient } from '@/api/queries'

import { FakeEventSource } from './eventSource'

// How long findBy waits for what a page is still loading.
configure({ asyncUtilTimeout: 10_000 })

beforeEach(() => {
  vi.stubGlobal('EventSource', FakeEventSource)
  localStorage.clear()
})
afterEach(() => {
  cleanup()
  queryClient.clear()
  FakeEventSource.forget()
  vi.unstubAllGlobals()
})
