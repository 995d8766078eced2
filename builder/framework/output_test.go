package framework

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestTheOutputIsFound(t *testing.T) {
	for _, c := range []struct {
		name     string
		before   files // the sources
		after    files // what the build adds
		settings site.BuildSettings
		want     string // a folder, or words of the error after !
	}{
		{"the usual place", files{"package.json": pkg("vite build", "vite")}, files{"dist/index.html": ""}, site.BuildSettings{}, "dist"},
		{"as configured", files{"package.json": pkg("vite build", "vite")}, files{"dist/index.html": "", "web/x.html": ""}, site.BuildSettings{OutputDirectory: "web"}, "web"},
		{"configured and missing", files{"package.json": pkg("vite build", "vite")}, files{"dist/index.html": ""}, site.BuildSettings{OutputDirectory: "web"}, `!has not made the output directory "web"; there is: dist/, package.json`},
		{"configured and empty", files{"package.json": pkg("vite build", "vite")}, files{"web/": ""}, site.BuildSettings{OutputDirectory: "web"}, "!is empty"},
		{"configured and a file", files{"package.json": pkg("vite build", "vite")}, files{"web": "x"}, site.BuildSettings{OutputDirectory: "web"}, "!not a directory"},
		{"a page at the top wins", files{"package.json": pkg("make")}, files{"dist/app.js": "", "out/index.html": ""}, site.BuildSettings{}, "out"},
		{"no page at the top", files{"package.json": pkg("make")}, files{"build/app.js": ""}, site.BuildSettings{}, "build"},
		{"nothing", files{"package.json": pkg("make"), "src/x.js": ""}, nil, site.BuildSettings{}, "!no output: looked for dist, build, out, _site, www, public and .output/public; there is: package.json, src/"},
		{"in a package", files{"apps/web/package.json": pkg("vite build", "vite")}, files{"apps/web/dist/index.html": ""}, site.BuildSettings{RootDirectory: "apps/web"}, "apps/web/dist"},
		{"beside a package", files{"apps/web/package.json": pkg("nx build", "vite")}, files{"dist/web/index.html": ""}, site.BuildSettings{RootDirectory: "apps/web", OutputDirectory: "../../dist/web"}, "dist/web"},
		{"Next as a server", files{"package.json": pkg("next build", "next")}, files{".next/x": ""}, site.BuildSettings{}, "!output: 'export'"},
		{"Nuxt as a server", files{"package.json": pkg("nuxt build", "nuxt")}, files{".output/public/_nuxt/x.js": ""}, site.BuildSettings{}, "!nuxt generate"},
		{"Astro as a server", files{"package.json": pkg("astro build", "astro")}, files{"dist/client/x.js": "", "dist/server/x.js": ""}, site.BuildSettings{}, "!output: 'server'"},
		{"Astro without a first page", files{"package.json": pkg("astro build", "astro")}, files{"dist/about/index.html": ""}, site.BuildSettings{}, "dist"},
		{"React Router as a server", files{"package.json": pkg("react-router build", "@react-router/dev")}, files{"build/client/assets/x.js": ""}, site.BuildSettings{}, "!ssr: false"},
		{"SvelteKit as a server", files{"package.json": pkg("vite build", "@sveltejs/kit")}, files{".svelte-kit/output/x": ""}, site.BuildSettings{}, "!adapter-static"},
		{"VitePress below docs", files{"package.json": pkg("", "vitepress")}, files{"docs/.vitepress/dist/index.html": ""}, site.BuildSettings{}, "docs/.vitepress/dist"},
		{"a folder with any name", files{"package.json": pkg("", "docusaurus")}, files{"build/my-project/index.html": ""}, site.BuildSettings{}, "build/my-project"},
		{"static at the root", files{"index.html": "", "docs/index.html": ""}, nil, site.BuildSettings{}, "."},
		{"static in public", files{"readme.md": "", "public/index.html": ""}, nil, site.BuildSettings{}, "public"},
		{"static without a first page", files{"about.html": ""}, nil, site.BuildSettings{}, "."},
		{"nothing to serve", files{"readme.md": "", "src/main.go": ""}, nil, site.BuildSettings{}, "!nothing to serve"},
		{"empty", files{}, nil, site.BuildSettings{}, "!there is: nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := sources(t, c.before)
			p, err := Detect(root, c.settings)
			if err != nil {
				t.Fatal(err)
			}
			for name, content := range c.after {
				full := filepath.Join(root.Name(), name)
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(name, "/") {
					err = os.MkdirAll(full, 0o755)
				} else {
					err = os.WriteFile(full, []byte(content), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			got, err := p.Output(root)
			if words, failing := strings.CutPrefix(c.want, "!"); failing {
				if err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("%q, %v; want %q", got, err, words)
				}
			} else if err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}
