import '@testing-library/jest-dom/vitest'
import { cleanup } from '@testing-library/react'
import { afterEach, beforeEach, vi } from 'vitest'

import { queryClient } from '@/api/queries'

import { FakeEventSource } from './eventSource'

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
