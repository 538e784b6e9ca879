import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

/**
 * The page asks only its own hub and runs only its own files. Said in the page itself as well as in the hub's header,
 * so that it also holds behind a proxy that drops headers. Not in development, where Vite inlines styles.
 */
const contentSecurityPolicy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      injectTo: 'head-prepend',
      attrs: {
        'http-equiv': 'Content-Security-Policy',
        content: "default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'",
      },
    },
  ],
}

const hub = process.env.HOLON_HUB ?? 'http://127.0.0.1:4656'

export default defineConfig({
  plugins: [svelte(), contentSecurityPolicy],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // A data: URI would need a hole in the policy above.
    assetsInlineLimit: 0,
  },
  server: { host: '127.0.0.1', proxy: { '/v1': hub, '/fleet': hub } },
})
