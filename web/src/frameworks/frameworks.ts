import type { logoPaths } from './logoPaths'

type Framework = { name: string; logo?: keyof typeof logoPaths }

// The frameworks that a builder detects, by their ids.
export const frameworks: Record<string, Framework> = {
  analog: { name: 'Analog' },
  angular: { name: 'Angular', logo: 'angular' },
  astro: { name: 'Astro', logo: 'astro' },
  brunch: { name: 'Brunch' },
  'create-react-app': { name: 'Create React App', logo: 'react' },
  docusaurus: { name: 'Docusaurus', logo: 'docusaurus' },
  'docusaurus-1': { name: 'Docusaurus 1', logo: 'docusaurus' },
  dumi: { name: 'dumi' },
  eleventy: { name: 'Eleventy', logo: 'eleventy' },
  ember: { name: 'Ember', logo: 'emberdotjs' },
  expo: { name: 'Expo', logo: 'expo' },
  farm: { name: 'Farm' },
  gatsby: { name: 'Gatsby', logo: 'gatsby' },
  gridsome: { name: 'Gridsome', logo: 'gridsome' },
  hexo: { name: 'Hexo', logo: 'hexo' },
  hugo: { name: 'Hugo', logo: 'hugo' },
  'ionic-angular': { name: 'Ionic Angular', logo: 'ionic' },
  'ionic-react': { name: 'Ionic React', logo: 'ionic' },
  'ionic-vue': { name: 'Ionic Vue', logo: 'ionic' },
  jekyll: { name: 'Jekyll', logo: 'jekyll' },
  mdbook: { name: 'mdBook', logo: 'mdbook' },
  mkdocs: { name: 'MkDocs' },
  nextjs: { name: 'Next.js', logo: 'nextdotjs' },
  npm: { name: 'npm build script', logo: 'npm' },
  nuxt: { name: 'Nuxt', logo: 'nuxt' },
  parcel: { name: 'Parcel' },
  preact: { name: 'Preact', logo: 'preact' },
  'preact-cli': { name: 'Preact CLI', logo: 'preact' },
  quasar: { name: 'Quasar', logo: 'quasar' },
  qwik: { name: 'Qwik City', logo: 'qwik' },
  'react-router': { name: 'React Router', logo: 'reactrouter' },
  redwood: { name: 'RedwoodJS', logo: 'redwoodjs' },
  remix: { name: 'Remix', logo: 'remix' },
  rsbuild: { name: 'Rsbuild' },
  rspress: { name: 'Rspress' },
  sapper: { name: 'Sapper', logo: 'svelte' },
  slidev: { name: 'Slidev' },
  solidstart: { name: 'SolidStart', logo: 'solid' },
  static: { name: 'Static files', logo: 'html5' },
  stencil: { name: 'Stencil', logo: 'stencil' },
  storybook: { name: 'Storybook', logo: 'storybook' },
  svelte: { name: 'Svelte', logo: 'svelte' },
  sveltekit: { name: 'SvelteKit', logo: 'svelte' },
  'tanstack-start': { name: 'TanStack Start', logo: 'tanstack' },
  umijs: { name: 'UmiJS' },
  vite: { name: 'Vite', logo: 'vite' },
  vitepress: { name: 'VitePress', logo: 'vitepress' },
  'vue-cli': { name: 'Vue CLI', logo: 'vuedotjs' },
  vuepress: { name: 'VuePress', logo: 'vuedotjs' },
  webpack: { name: 'webpack', logo: 'webpack' },
  zola: { name: 'Zola', logo: 'zola' },
}

// frameworkName is how people call a framework; one that this page does not
// know is called by its id.
export function frameworkName(id: string | undefined): string {
  return id ? (frameworks[id]?.name ?? id) : ''
}
