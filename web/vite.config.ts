import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// Where the control plane (or mock/server.mjs) listens while developing.
const api = process.env.MINI_VERCEL_URL ?? 'http://127.0.0.1:9000'

// What the control plane answers at its root, beside /dashboard/.
const apiPaths =
  '^/(auth|projects|deployments|deploy|detect|events|explain|tokens|invitations|system|blobs|health|ready|openapi.json|docs)(/|\\?|$)'

export default defineConfig({
  base: '/dashboard/',
  plugins: [react(), tailwindcss()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  build: {
    target: 'es2022',
    // Inlined assets would be data: URLs, which the content security policy refuses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    port: 5173,
    strictPort: true,
    proxy: {
      [apiPaths]: {
        target: api,
        // Writes by cookie are accepted from the control plane's own origin only.
        headers: { origin: new URL(api).origin },
      },
    },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/testing/setup.ts'],
    restoreMocks: true,
    // A busy machine is no failure; what hangs still ends.
    testTimeout: 30_000,
  },
})
