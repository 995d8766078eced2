package framework

import (
	"regexp"
	"strings"
)

// Row is one framework: how it is recognized, built, and where its output is.
type Row struct {
	ID   string // as it stands in settings and manifests
	Name string

	// The row matches if one of these holds.
	Packages []string             // one of them is among the dependencies of package.json
	Files    []string             // one of them is there: names or patterns of path.Match
	Match    func(f *folder) bool // for what needs more than one fact

	Scripts   []string                 // of package.json, in order, that build it; none: build
	Build     string                   // the command where no script does
	Output    []string                 // folders in which the result may be, best first
	Configure func(f *folder) []string // folders that the project's own configuration names
	Immutable []string                 // folders of the output in which a name changes with its content
	Server    string                   // what to do where the output lacks pages because a server is to make them
	Tool      string                   // how to get the program that Build needs, where it is none of npm's
}

// Rows is the table: the first row that matches wins, so those that are built
// on others stand above them.
var Rows = []Row{
	// What builds on a framework further down.
	{ID: "storybook", Name: "Storybook", Match: func(f *folder) bool { return strings.HasPrefix(f.script("build"), "storybook build") }, Build: "storybook build", Output: []string{"storybook-static"}, Immutable: []string{"assets"}},
	{ID: "ionic-angular", Name: "Ionic Angular", Packages: []string{"@ionic/angular"}, Build: "ng build", Output: []string{"www/browser", "www"}, Configure: angularOutput},
	{ID: "analog", Name: "Analog", Packages: []string{"@analogjs/platform"}, Build: "vite build", Output: []string{"dist/analog/public", "dist/client"}, Configure: viteOutput, Immutable: []string{"assets"}},
	{ID: "angular", Name: "Angular", Packages: []string{"@angular/core"}, Build: "ng build", Output: []string{"dist/browser", "dist"}, Configure: angularOutput, Immutable: []string{"media"},
		Server: "set \"outputMode\": \"static\" in angular.json"},
	{ID: "nextjs", Name: "Next.js", Packages: []string{"next"}, Build: "next build", Output: []string{"out"}, Configure: nextOutput, Immutable: []string{"_next/static"},
		Server: "Mini-Vercel serves static sites: set output: 'export' in next.config, so that `next build` writes the folder out"},
	{ID: "nuxt", Name: "Nuxt", Packages: []string{"nuxt", "nuxt3", "nuxt-edge", "nuxt-nightly"}, Scripts: []string{"generate", "build"}, Build: "nuxt generate", Output: []string{".output/public", "dist"}, Immutable: []string{"_nuxt"},
		Server: "Mini-Vercel serves static sites: set the build command to `nuxt generate`"},
	{ID: "react-router", Name: "React Router", Packages: []string{"@react-router/dev"}, Build: "react-router build", Output: []string{"build/client"}, Immutable: []string{"assets"},
		Server: "Mini-Vercel serves static sites: set ssr: false in react-router.config"},
	{ID: "remix", Name: "Remix", Packages: []string{"@remix-run/dev"}, Build: "remix vite:build", Output: []string{"build/client", "public"}, Immutable: []string{"assets"},
		Server: "Mini-Vercel serves static sites: set ssr: false for the Remix plugin in vite.config"},
	{ID: "tanstack-start", Name: "TanStack Start", Packages: []string{"@tanstack/react-start", "@tanstack/solid-start", "@tanstack/start"}, Build: "vite build", Output: []string{".output/public", "dist/client"}, Immutable: []string{"assets"},
		Server: "Mini-Vercel serves static sites: turn on prerendering or SPA mode for the TanStack Start plugin in vite.config"},
	{ID: "solidstart", Name: "SolidStart", Packages: []string{"@solidjs/start", "solid-start"}, Build: "vinxi build", Output: []string{".output/public", "dist/public"}, Immutable: []string{"_build/assets"},
		Server: "Mini-Vercel serves static sites: set server.preset to \"static\" or ssr to false in app.config"},
	{ID: "sveltekit", Name: "SvelteKit", Packages: []string{"@sveltejs/kit"}, Build: "vite build", Output: []string{"build"}, Configure: svelteKitOutput, Immutable: []string{"_app/immutable"},
		Server: "Mini-Vercel serves static sites: use @sveltejs/adapter-static in svelte.config"},
	{ID: "astro", Name: "Astro", Packages: []string{"astro"}, Build: "astro build", Output: []string{"dist"}, Configure: configured("outDir", "astro.config.*"), Immutable: []string{"_astro"},
		Server: "Mini-Vercel serves static sites: leave output: 'server' and the adapter out of astro.config"},
	{ID: "qwik", Name: "Qwik City", Packages: []string{"@builder.io/qwik-city", "@qwik.dev/router"}, Build: "qwik build", Output: []string{"dist"}, Immutable: []string{"build", "assets"},
		Server: "Mini-Vercel serves static sites: add the static adapter with `npm run qwik add static`"},
	{ID: "gatsby", Name: "Gatsby", Packages: []string{"gatsby"}, Build: "gatsby build", Output: []string{"public"}, Immutable: []string{"static"}},
	{ID: "docusaurus", Name: "Docusaurus", Packages: []string{"@docusaurus/core"}, Build: "docusaurus build", Output: []string{"build"}, Immutable: []string{"assets"}},
	{ID: "docusaurus-1", Name: "Docusaurus 1", Packages: []string{"docusaurus"}, Build: "docusaurus-build", Output: []string{"build/*", "build"}},
	{ID: "vitepress", Name: "VitePress", Packages: []string{"vitepress"}, Scripts: []string{"docs:build", "build"}, Build: "vitepress build", Output: []string{".vitepress/dist", "docs/.vitepress/dist", "src/.vitepress/dist"}, Configure: configured("outDir", ".vitepress/config.*", "docs/.vitepress/config.*"), Immutable: []string{"assets"}},
	{ID: "vuepress", Name: "VuePress", Packages: []string{"vuepress", "@vuepress/core"}, Scripts: []string{"docs:build", "build"}, Build: "vuepress build", Output: []string{".vuepress/dist", "docs/.vuepress/dist", "src/.vuepress/dist"}, Configure: configured("dest", ".vuepress/config.*", "docs/.vuepress/config.*"), Immutable: []string{"assets"}},
	{ID: "rspress", Name: "Rspress", Packages: []string{"rspress", "@rspress/core"}, Build: "rspress build", Output: []string{"doc_build"}, Configure: configured("outDir", "rspress.config.*"), Immutable: []string{"static"}},
	{ID: "gridsome", Name: "Gridsome", Packages: []string{"gridsome"}, Build: "gridsome build", Output: []string{"dist"}, Immutable: []string{"assets"}},
	{ID: "eleventy", Name: "Eleventy", Packages: []string{"@11ty/eleventy"}, Build: "eleventy", Output: []string{"_site"}, Configure: configured("output", ".eleventy.js", "eleventy.config.*")},
	{ID: "hexo", Name: "Hexo", Packages: []string{"hexo"}, Build: "hexo generate", Output: []string{"public"}},
	{ID: "slidev", Name: "Slidev", Packages: []string{"@slidev/cli"}, Build: "slidev build", Output: []string{"dist"}, Immutable: []string{"assets"}},
	{ID: "quasar", Name: "Quasar", Packages: []string{"@quasar/app-vite", "@quasar/app-webpack", "@quasar/app"}, Build: "quasar build", Output: []string{"dist/spa", "dist/pwa"}, Immutable: []string{"assets"}},
	{ID: "expo", Name: "Expo", Packages: []string{"expo"}, Build: "expo export --platform web", Output: []string{"dist"}, Immutable: []string{"_expo/static"}},
	{ID: "redwood", Name: "RedwoodJS", Packages: []string{"@redwoodjs/core"}, Build: "redwood build web", Output: []string{"web/dist"}, Immutable: []string{"assets"}},
	{ID: "umijs", Name: "UmiJS", Packages: []string{"umi", "@umijs/max"}, Build: "umi build", Output: []string{"dist"}, Configure: configured("outputPath", ".umirc.*", "config/config.*")},
	{ID: "dumi", Name: "dumi", Packages: []string{"dumi"}, Build: "dumi build", Output: []string{"dist", "docs-dist"}, Configure: configured("outputPath", ".dumirc.*")},
	{ID: "ionic-react", Name: "Ionic React", Packages: []string{"@ionic/react"}, Build: "vite build", Output: []string{"dist", "build", "www"}, Configure: viteOutput, Immutable: []string{"assets", "static"}},
	{ID: "ionic-vue", Name: "Ionic Vue", Packages: []string{"@ionic/vue"}, Build: "vite build", Output: []string{"dist", "www"}, Configure: viteOutput, Immutable: []string{"assets"}},
	{ID: "create-react-app", Name: "Create React App", Packages: []string{"react-scripts", "react-app-rewired"}, Build: "react-scripts build", Output: []string{"build"}, Immutable: []string{"static"}},
	{ID: "vue-cli", Name: "Vue CLI", Packages: []string{"@vue/cli-service"}, Build: "vue-cli-service build", Output: []string{"dist"}, Configure: configured("outputDir", "vue.config.*"), Immutable: []string{"js", "css", "img", "fonts"}},
	{ID: "ember", Name: "Ember", Packages: []string{"ember-source", "ember-cli"}, Build: "ember build --environment=production", Output: []string{"dist"}, Immutable: []string{"assets"}},
	{ID: "stencil", Name: "Stencil", Packages: []string{"@stencil/core"}, Build: "stencil build", Output: []string{"www", "dist"}, Configure: configured("dir", "stencil.config.*"), Immutable: []string{"build"}},
	{ID: "preact-cli", Name: "Preact CLI", Packages: []string{"preact-cli"}, Build: "preact build", Output: []string{"build"}},
	{ID: "sapper", Name: "Sapper", Packages: []string{"sapper"}, Scripts: []string{"export", "build"}, Build: "sapper export", Output: []string{"__sapper__/export"}, Immutable: []string{"client"}},
	{ID: "farm", Name: "Farm", Packages: []string{"@farmfe/core"}, Build: "farm build", Output: []string{"dist"}},
	{ID: "rsbuild", Name: "Rsbuild", Packages: []string{"@rsbuild/core"}, Build: "rsbuild build", Output: []string{"dist"}, Immutable: []string{"static"}},
	{ID: "parcel", Name: "Parcel", Packages: []string{"parcel", "parcel-bundler"}, Build: "parcel build", Output: []string{"dist"}},
	{ID: "preact", Name: "Preact", Match: allPackages("preact", "vite"), Build: "vite build", Output: []string{"dist"}, Configure: viteOutput, Immutable: []string{"assets"}},
	{ID: "svelte", Name: "Svelte", Packages: []string{"svelte"}, Build: "vite build", Output: []string{"dist", "public"}, Configure: viteOutput, Immutable: []string{"assets"}},
	{ID: "vite", Name: "Vite", Packages: []string{"vite", "rolldown-vite", "vite-plus"}, Files: []string{"vite.config.*"}, Build: "vite build", Output: []string{"dist"}, Configure: viteOutput, Immutable: []string{"assets"}},
	{ID: "brunch", Name: "Brunch", Packages: []string{"brunch"}, Build: "brunch build --production", Output: []string{"public"}},
	{ID: "webpack", Name: "webpack", Match: func(f *folder) bool { return callsWebpack.MatchString(f.script("build")) }, Build: "webpack --mode production", Output: []string{"dist", "build", "public"}},
	{ID: "storybook", Name: "Storybook", Match: func(f *folder) bool {
		return f.script("build") == "" && (f.uses("storybook") || f.script("build-storybook") != "")
	}, Scripts: []string{"build-storybook"}, Build: "storybook build", Output: []string{"storybook-static"}, Immutable: []string{"assets"}},

	// A script of the project's own.
	{ID: "npm", Name: "npm build script", Match: func(f *folder) bool { return f.script("build") != "" }, Output: []string{"dist", "build", "out", "_site", "www", "public", ".output/public"}},

	// What is built by programs of other languages.
	{ID: "hugo", Name: "Hugo", Files: []string{"hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config/_default/hugo.*"}, Match: oldHugo, Build: "hugo --gc --minify", Output: []string{"public"}, Configure: configured("publishDir", "hugo.*", "config.*"),
		Tool: "add the npm package hugo-extended to the project, or install Hugo on the machine that builds"},
	{ID: "zola", Name: "Zola", Match: zola, Build: "zola build", Output: []string{"public"}, Tool: "install Zola on the machine that builds"},
	{ID: "jekyll", Name: "Jekyll", Files: []string{"_config.yml", "_config.yaml", "_config.toml"}, Build: "jekyll build", Output: []string{"_site"}, Configure: configured("destination", "_config.*"),
		Tool: "install Ruby and Jekyll on the machine that builds"},
	{ID: "mkdocs", Name: "MkDocs", Files: []string{"mkdocs.yml", "mkdocs.yaml"}, Build: "mkdocs build", Output: []string{"site"}, Configure: configured("site_dir", "mkdocs.*"), Tool: "install MkDocs on the machine that builds"},
	{ID: "mdbook", Name: "mdBook", Files: []string{"book.toml"}, Build: "mdbook build", Output: []string{"book/html", "book"}, Tool: "install mdBook on the machine that builds"},

	// Files as they are.
	{ID: "static", Name: "Static files", Match: func(*folder) bool { return true }, Output: []string{".", "public", "dist", "build", "out", "_site", "site", "www", "docs"}},
}

// Find returns the row of an id; nil if there is none.
func Find(id string) *Row {
	for i := range Rows {
		if Rows[i].ID == id {
			return &Rows[i]
		}
	}
	return nil
}

func (r *Row) matches(f *folder) bool {
	for _, name := range r.Packages {
		if f.uses(name) {
			return true
		}
	}
	for _, pattern := range r.Files {
		if f.find(pattern) != "" {
			return true
		}
	}
	return r.Match != nil && r.Match(f)
}

var callsWebpack = regexp.MustCompile(`(^|\s)webpack(\s|$)`)

func allPackages(names ...string) func(*folder) bool {
	return func(f *folder) bool {
		for _, name := range names {
			if !f.uses(name) {
				return false
			}
		}
		return true
	}
}

// oldHugo recognizes the configuration's former name, which others share.
func oldHugo(f *folder) bool {
	return f.find("config.*") != "" && !zola(f) && (f.isDir("archetypes") || f.isDir("content") && (f.isDir("layouts") || f.isDir("themes")))
}

func zola(f *folder) bool {
	text := f.text("config.toml")
	return strings.Contains(text, "base_url") && (f.isDir("templates") || f.isDir("themes") || f.isDir("content")) && !f.isDir("archetypes") && !f.isDir("layouts")
}
