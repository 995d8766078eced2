import type { logoPaths } from './logoPaths'

type Framework = { name: string; logo?: keyof typeof logoPaths }

// The frameworks that a builder detects, by their ids.
export const frameworks: Record<string, Framework> = {
  nextjs: { name: 'Next.js', logo: 'nextdotjs' },
  vite: { name: 'Vite', logo: 'vite' },
  astro: { name: 'Astro', logo: 'astro' },
  sveltekit: { name: 'SvelteKit', logo: 'svelte' },
  svelte: { name: 'Svelte', logo: 'svelte' },
  nuxt: { name: 'Nuxt', logo: 'nuxt' },
  gatsby: { name: 'Gatsby', logo: 'gatsby' },
  docusaurus: { name: 'Docusaurus', logo: 'docusaurus' },
  vitepress: { name: 'VitePress', logo: 'vitepress' },
  vuepress: { name: 'VuePress', logo: 'vuedotjs' },
  eleventy: { name: 'Eleventy', logo: 'eleventy' },
  hexo: { name: 'Hexo', logo: 'hexo' },
  cra: { name: 'Create React App', logo: 'react' },
  'vue-cli': { name: 'Vue CLI', logo: 'vuedotjs' },
  angular: { name: 'Angular', logo: 'angular' },
  ember: { name: 'Ember', logo: 'emberdotjs' },
  solidstart: { name: 'SolidStart', logo: 'solid' },
  'react-router': { name: 'React Router', logo: 'reactrouter' },
  remix: { name: 'Remix', logo: 'remix' },
  'tanstack-start': { name: 'TanStack Start', logo: 'tanstack' },
  preact: { name: 'Preact', logo: 'preact' },
  parcel: { name: 'Parcel' },
  stencil: { name: 'Stencil', logo: 'stencil' },
  ionic: { name: 'Ionic', logo: 'ionic' },
  storybook: { name: 'Storybook', logo: 'storybook' },
  umijs: { name: 'UmiJS' },
  hugo: { name: 'Hugo', logo: 'hugo' },
  jekyll: { name: 'Jekyll', logo: 'jekyll' },
  zola: { name: 'Zola', logo: 'zola' },
  npm: { name: 'npm build script', logo: 'npm' },
  static: { name: 'Static files', logo: 'html5' },
}

// frameworkName is how people call a framework; one that this page does not
// know is called by its id.
export function frameworkName(id: string | undefined): string {
  return id ? (frameworks[id]?.name ?? id) : ''
}
