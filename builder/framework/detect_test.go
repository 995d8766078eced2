package framework

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// sources makes a folder with the given files; a name that ends in a slash is a
// folder.
func sources(t testing.TB, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(full, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// pkg is a package.json with dependencies and a build script.
func pkg(build string, dependencies ...string) string {
	list := []string{}
	for _, name := range dependencies {
		list = append(list, fmt.Sprintf("%q:%q", name, "^1.0.0"))
	}
	scripts := ""
	if build != "" {
		scripts = fmt.Sprintf(`"build":%q`, build)
	}
	return fmt.Sprintf(`{"name":"x","scripts":{%s},"dependencies":{%s}}`, scripts, strings.Join(list, ","))
}

type files = map[string]string

func TestFrameworksAreDetected(t *testing.T) {
	for _, c := range []struct {
		id     string
		files  files
		build  string // if not npm run build
		output string
	}{
		{"nextjs", files{"package.json": pkg("next build", "next", "react", "react-dom")}, "", "out"},
		{"nextjs", files{"package.json": pkg("next build", "next"), "next.config.mjs": "export default { output: 'export', distDir: 'site' }"}, "", "site"},
		{"nextjs", files{"package.json": pkg("next build", "next"), "next.config.mjs": "export default { distDir: 'build' }"}, "", "out"},
		{"nuxt", files{"package.json": `{"scripts":{"build":"nuxt build","generate":"nuxt generate"},"dependencies":{"nuxt":"3","vue":"3"}}`}, "npm run generate", ".output/public"},
		{"nuxt", files{"package.json": pkg("", "nuxt")}, "nuxt generate", ".output/public"},
		{"react-router", files{"package.json": pkg("react-router build", "@react-router/dev", "vite", "react")}, "", "build/client"},
		{"remix", files{"package.json": pkg("remix vite:build", "@remix-run/dev", "vite")}, "", "build/client"},
		{"tanstack-start", files{"package.json": pkg("vite build", "@tanstack/react-start", "vite", "react")}, "", ".output/public"},
		{"solidstart", files{"package.json": pkg("vinxi build", "@solidjs/start", "vinxi")}, "", ".output/public"},
		{"sveltekit", files{"package.json": pkg("vite build", "@sveltejs/kit", "svelte", "vite"), "vite.config.ts": "x"}, "", "build"},
		{"sveltekit", files{"package.json": pkg("vite build", "@sveltejs/kit", "svelte", "vite"), "svelte.config.js": "kit: { adapter: adapter({\n pages: 'site',\n}) }"}, "", "site"},
		{"astro", files{"package.json": pkg("astro build", "astro", "vite")}, "", "dist"},
		{"astro", files{"package.json": pkg("astro check && astro build", "astro"), "astro.config.mjs": "defineConfig({ outDir: './public_html' }) // outDir: 'no'"}, "", "public_html"},
		{"qwik", files{"package.json": pkg("qwik build", "@builder.io/qwik-city", "vite")}, "", "dist"},
		{"gatsby", files{"package.json": pkg("gatsby build", "gatsby", "react")}, "", "public"},
		{"docusaurus", files{"package.json": pkg("docusaurus build", "@docusaurus/core", "react")}, "", "build"},
		{"docusaurus", files{"package.json": pkg("docusaurus build --out-dir www", "@docusaurus/core")}, "", "www"},
		{"vitepress", files{"package.json": `{"scripts":{"docs:build":"vitepress build docs"},"devDependencies":{"vitepress":"1"}}`}, "npm run docs:build", ".vitepress/dist"},
		{"vuepress", files{"package.json": `{"scripts":{"docs:build":"vuepress build docs"},"devDependencies":{"vuepress":"2"}}`}, "npm run docs:build", ".vuepress/dist"},
		{"rspress", files{"package.json": pkg("rspress build", "rspress")}, "", "doc_build"},
		{"gridsome", files{"package.json": pkg("gridsome build", "gridsome")}, "", "dist"},
		{"eleventy", files{"package.json": pkg("eleventy", "@11ty/eleventy")}, "", "_site"},
		{"eleventy", files{"package.json": pkg("", "@11ty/eleventy"), ".eleventy.js": "return { dir: { input: 'src', output: 'public' } }"}, "eleventy", "public"},
		{"hexo", files{"package.json": pkg("hexo generate", "hexo"), "_config.yml": "title: x"}, "", "public"},
		{"slidev", files{"package.json": pkg("slidev build", "@slidev/cli")}, "", "dist"},
		{"quasar", files{"package.json": pkg("", "@quasar/app-vite")}, "quasar build", "dist/spa"},
		{"expo", files{"package.json": pkg("", "expo", "react-native")}, "expo export --platform web", "dist"},
		{"redwood", files{"package.json": pkg("", "@redwoodjs/core")}, "redwood build web", "web/dist"},
		{"create-react-app", files{"package.json": pkg("react-scripts build", "react-scripts", "react")}, "", "build"},
		{"vue-cli", files{"package.json": pkg("vue-cli-service build", "@vue/cli-service", "vue"), "vue.config.js": "module.exports = { outputDir: \"web\" }"}, "", "web"},
		{"angular", files{"package.json": pkg("ng build", "@angular/core", "@angular/cli"), "angular.json": `{"projects":{"shop":{"projectType":"application","architect":{"build":{"options":{"outputPath":"dist/shop"}}}}}}`}, "", "dist/shop/browser"},
		{"angular", files{"package.json": pkg("ng build", "@angular/core"), "angular.json": `{"projects":{"lib":{"projectType":"library"},"shop":{"projectType":"application","architect":{"build":{"options":{"outputPath":{"base":"out","browser":""}}}}}}}`}, "", "out"},
		{"angular", files{"package.json": pkg("ng build", "@angular/core"), "angular.json": `{"projects":{"shop":{"projectType":"application","architect":{"build":{"options":{}}}}}}`}, "", "dist/shop/browser"},
		{"ionic-angular", files{"package.json": pkg("ng build", "@ionic/angular", "@angular/core")}, "", "www/browser"},
		{"ionic-react", files{"package.json": pkg("vite build", "@ionic/react", "vite", "react")}, "", "dist"},
		{"ionic-vue", files{"package.json": pkg("vite build", "@ionic/vue", "vite")}, "", "dist"},
		{"analog", files{"package.json": pkg("vite build", "@analogjs/platform", "@angular/core", "vite")}, "", "dist/analog/public"},
		{"ember", files{"package.json": pkg("ember build --environment=production", "ember-source", "ember-cli")}, "", "dist"},
		{"stencil", files{"package.json": pkg("stencil build", "@stencil/core")}, "", "www"},
		{"preact-cli", files{"package.json": pkg("preact build", "preact-cli", "preact")}, "", "build"},
		{"preact", files{"package.json": pkg("vite build", "preact", "vite")}, "", "dist"},
		{"umijs", files{"package.json": pkg("umi build", "umi")}, "", "dist"},
		{"umijs", files{"package.json": pkg("max build", "@umijs/max"), ".umirc.ts": "export default { outputPath: 'web' }"}, "", "web"},
		{"dumi", files{"package.json": pkg("dumi build", "dumi")}, "", "dist"},
		{"sapper", files{"package.json": pkg("", "sapper", "svelte")}, "sapper export", "__sapper__/export"},
		{"svelte", files{"package.json": pkg("vite build", "svelte", "vite")}, "", "dist"},
		{"rsbuild", files{"package.json": pkg("rsbuild build", "@rsbuild/core", "react")}, "", "dist"},
		{"farm", files{"package.json": pkg("farm build", "@farmfe/core")}, "", "dist"},
		{"parcel", files{"package.json": pkg("parcel build index.html --dist-dir www", "parcel")}, "", "www"},
		{"vite", files{"package.json": pkg("tsc -b && vite build", "vite", "react")}, "", "dist"},
		{"vite", files{"package.json": pkg("vite build", "vite"), "vite.config.ts": "export default defineConfig({ root: 'src', build: { outDir: '../web' } })"}, "", "web"},
		{"vite", files{"package.json": pkg("vite build", "vite"), "vite.config.ts": "build: { outDir: `${dir}/web` }"}, "", "dist"},
		{"vite", files{"package.json": pkg("", "vite")}, "vite build", "dist"},
		{"brunch", files{"package.json": pkg("", "brunch")}, "brunch build --production", "public"},
		{"webpack", files{"package.json": pkg("webpack --mode production", "webpack")}, "", "dist"},
		{"storybook", files{"package.json": pkg("storybook build -o web", "storybook", "vite")}, "", "storybook-static"},
		{"storybook", files{"package.json": `{"scripts":{"build-storybook":"storybook build"},"devDependencies":{"storybook":"8"}}`}, "npm run build-storybook", "storybook-static"},
		{"vite", files{"package.json": `{"scripts":{"build":"vite build","build-storybook":"storybook build"},"devDependencies":{"storybook":"8","vite":"5"}}`}, "", "dist"},
		{"vite", files{"package.json": pkg("vite build && storybook build -o dist/book", "storybook", "vite")}, "", "dist"},
		{"webpack", files{"package.json": pkg("NODE_ENV=production webpack")}, "", "dist"},
		{"npm", files{"package.json": pkg("node webpack-build.js")}, "", "dist"},
		{"npm", files{"package.json": pkg("node make.js")}, "", "dist"},
		{"hugo", files{"hugo.toml": "baseURL = '/'"}, "hugo --gc --minify", "public"},
		{"hugo", files{"config.toml": "publishDir = 'web'", "content/a.md": "", "layouts/x.html": ""}, "hugo --gc --minify", "web"},
		{"hugo", files{"config/_default/hugo.yaml": ""}, "hugo --gc --minify", "public"},
		{"zola", files{"config.toml": "base_url = 'https://x'", "content/_index.md": "", "templates/index.html": ""}, "zola build", "public"},
		{"jekyll", files{"_config.yml": "destination: web"}, "jekyll build", "web"},
		{"mkdocs", files{"mkdocs.yml": "site_name: x"}, "mkdocs build", "site"},
		{"mdbook", files{"book.toml": ""}, "mdbook build", "book/html"},
		{"static", files{"index.html": "hi"}, "-", "."},
		{"static", files{"public/index.html": "hi", "readme.md": ""}, "-", "public"},
		{"static", files{"index.html": "hi", "package.json": pkg("")}, "-", "."},
	} {
		p, root, err := detect(t, c.files, site.BuildSettings{})
		if err != nil {
			t.Errorf("%s: %v", c.id, err)
			continue
		}
		switch c.build {
		case "":
			c.build = "npm run build"
		case "-":
			c.build = ""
		}
		if d := p.Detection(root); d.Framework != c.id || d.BuildCommand != c.build || d.OutputDirectory != c.output {
			t.Errorf("%s with %s: %+v", c.id, c.files["package.json"], d)
		}
	}
}

func detect(t testing.TB, files files, settings site.BuildSettings) (*Plan, *os.Root, error) {
	t.Helper()
	root := sources(t, files)
	p, err := Detect(root, settings)
	return p, root, err
}

func TestTheTableIsSound(t *testing.T) {
	tested := map[string]bool{}
	for i, r := range Rows {
		if r.ID == "" || r.Name == "" || len(r.Output) == 0 || strings.ToLower(r.ID) != r.ID {
			t.Errorf("row %d: %+v", i, r)
		}
		if len(r.Packages) == 0 && len(r.Files) == 0 && r.Match == nil {
			t.Errorf("%s can't be detected", r.ID)
		}
		tested[r.ID] = true
	}
	if len(tested) < 40 || Find("vite") == nil || Find("nothing") != nil || Rows[len(Rows)-1].ID != "static" {
		t.Errorf("%d frameworks", len(tested))
	}
}

func TestSettingsWin(t *testing.T) {
	p, root, err := detect(t, files{"package.json": pkg("vite build", "vite"), "package-lock.json": "{}"}, site.BuildSettings{
		Framework: "astro", InstallCommand: "npm i", BuildCommand: "make site", OutputDirectory: "web", NodeVersion: "22",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := site.Detection{Framework: "astro", FrameworkName: "Astro", PackageManager: "npm", InstallCommand: "npm i", BuildCommand: "make site", OutputDirectory: "web", NodeVersion: "22"}
	if got := p.Detection(root); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v", got)
	}
	for name, c := range map[string]struct {
		settings site.BuildSettings
		want     string
	}{
		"framework":             {site.BuildSettings{Framework: "frontpage"}, "vitepress"},
		"root directory":        {site.BuildSettings{RootDirectory: "apps/web"}, "it has: package.json"},
		"root directory leaves": {site.BuildSettings{RootDirectory: "../x"}, "leaves the repository"},
		"output leaves":         {site.BuildSettings{OutputDirectory: "../x"}, "leaves the repository"},
		"output is absolute":    {site.BuildSettings{OutputDirectory: "/etc"}, "leaves the repository"},
		"node":                  {site.BuildSettings{NodeVersion: "newest please"}, "can't be understood"},
	} {
		if _, _, err := detect(t, files{"package.json": pkg("vite build", "vite")}, c.settings); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPackageManagers(t *testing.T) {
	for _, c := range []struct {
		name    string
		files   files
		manager Manager
	}{
		{"npm with a lockfile", files{"package-lock.json": "{}"}, Manager{Name: "npm", From: "package-lock.json", Lock: "package-lock.json", Install: "npm ci"}},
		{"npm without", files{}, Manager{Name: "npm", Install: "npm install"}},
		{"pnpm 9", files{"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, Manager{Name: "pnpm", Version: "9", From: "pnpm-lock.yaml", Lock: "pnpm-lock.yaml", Install: "pnpm install --frozen-lockfile"}},
		{"pnpm 8", files{"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, Manager{Name: "pnpm", Version: "8", From: "pnpm-lock.yaml", Lock: "pnpm-lock.yaml", Install: "pnpm install --frozen-lockfile"}},
		{"pnpm 7", files{"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, Manager{Name: "pnpm", Version: "7", From: "pnpm-lock.yaml", Lock: "pnpm-lock.yaml", Install: "pnpm install --frozen-lockfile"}},
		{"yarn classic", files{"yarn.lock": "# yarn lockfile v1\n"}, Manager{Name: "yarn", Version: "1", From: "yarn.lock", Lock: "yarn.lock", Install: "yarn install --frozen-lockfile"}},
		{"yarn 4", files{"yarn.lock": "# x\n\n__metadata:\n  version: 8\n"}, Manager{Name: "yarn", Version: "4", Berry: true, From: "yarn.lock", Lock: "yarn.lock", Install: "yarn install --immutable"}},
		{"yarn 3", files{"yarn.lock": "# x\n\n__metadata:\n  version: 6\n"}, Manager{Name: "yarn", Version: "3", Berry: true, From: "yarn.lock", Lock: "yarn.lock", Install: "yarn install --immutable"}},
		{"bun", files{"bun.lock": "{}", "package-lock.json": "{}"}, Manager{Name: "bun", Version: "1", From: "bun.lock", Lock: "bun.lock", Install: "bun install --frozen-lockfile"}},
		{"named pnpm", files{"package.json": `{"packageManager":"pnpm@9.15.0+sha512.abc","scripts":{"build":"x"},"dependencies":{"a":"1"}}`, "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, Manager{Name: "pnpm", Version: "9.15.0", Exact: true, From: "package.json", Lock: "pnpm-lock.yaml", Install: "pnpm install --frozen-lockfile"}},
		{"named yarn, another's lockfile", files{"package.json": `{"packageManager":"yarn@4.1.0","scripts":{"build":"x"},"dependencies":{"a":"1"}}`, "package-lock.json": "{}"}, Manager{Name: "yarn", Version: "4.1.0", Berry: true, Exact: true, From: "package.json", Install: "yarn install --no-immutable"}},
	} {
		if c.files["package.json"] == "" {
			c.files["package.json"] = pkg("x", "a")
		}
		p, _, err := detect(t, c.files, site.BuildSettings{})
		if err != nil || p.Manager != c.manager || p.Install != c.manager.Install {
			t.Errorf("%s: %+v %v", c.name, p.Manager, err)
		}
	}
	if _, _, err := detect(t, files{"package.json": `{"packageManager":"pnpm@latest"}`}, site.BuildSettings{}); err == nil || !strings.Contains(err.Error(), "pnpm@9.15.0") {
		t.Error(err)
	}
	if p, _, err := detect(t, files{"package.json": pkg("node x.js")}, site.BuildSettings{}); err != nil || p.Install != "" || p.Build == "" {
		t.Errorf("nothing to install: %+v %v", p, err)
	}
	for version, want := range map[string]bool{"9.1.2": true, "10.0.0": false, "": false, "x": false} {
		if (Manager{Name: "pnpm", Version: "9"}).Accepts(version) != want {
			t.Errorf("9 and %q", version)
		}
	}
	if m := (Manager{Version: "9.15.0", Exact: true}); !m.Accepts("9.15.0") || m.Accepts("9.15.1") {
		t.Error("an exact version")
	}
}

func TestMonorepos(t *testing.T) {
	repository := files{
		"package.json": `{"workspaces":["apps/*"]}`, "package-lock.json": "{}", ".nvmrc": "22",
		"apps/web/package.json": pkg("vite build", "vite"), "apps/docs/package.json": pkg("astro build", "astro"),
		"packages/ui/package.json": pkg(""), "node_modules/x/package.json": pkg("x"),
	}
	p, root, err := detect(t, repository, site.BuildSettings{RootDirectory: "apps/web", OutputDirectory: "../../dist/web"})
	if err != nil || p.Directory != "apps/web" || p.InstallDirectory != "." || p.Install != "npm ci" || p.Build != "npm run build" || p.Node.From != ".nvmrc" {
		t.Errorf("%+v %v", p, err)
	}
	if got := p.Detection(root).RootDirectories; !slices.Equal(got, []string{"apps/docs", "apps/web"}) {
		t.Errorf("%q", got)
	}
	repository["apps/web/package-lock.json"] = "{}"
	if p, _, err = detect(t, repository, site.BuildSettings{RootDirectory: "apps/web"}); err != nil || p.InstallDirectory != "apps/web" {
		t.Errorf("%+v %v", p, err)
	}
	delete(repository, "apps/web/package-lock.json")
	delete(repository, "package-lock.json")
	if p, _, err = detect(t, repository, site.BuildSettings{RootDirectory: "/apps/web/"}); err != nil || p.InstallDirectory != "." || p.Install != "npm install" {
		t.Errorf("%+v %v", p, err)
	}
}

func TestNothingOutsideOfTheSourcesIsRead(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "package.json"), []byte(pkg("leaked", "next")), 0o644); err != nil {
		t.Fatal(err)
	}
	root := sources(t, files{"index.html": "hi"})
	for name, target := range map[string]string{"package.json": outside + "/package.json", ".nvmrc": "/etc/passwd", "apps": outside, "vite.config.js": "/etc/passwd", "mini-vercel.json": "/etc/passwd"} {
		if err := os.Symlink(target, filepath.Join(root.Name(), name)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Detect(root, site.BuildSettings{})
	if err != nil || p.Row.ID != "static" || p.HasPackage || p.Config != "" {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := Detect(root, site.BuildSettings{RootDirectory: "apps"}); err == nil {
		t.Error("a root directory outside was taken")
	}
}

func TestABrokenPackageJSONIsNamed(t *testing.T) {
	for content, want := range map[string]string{"{": "package.json is not valid JSON", strings.Repeat(" ", maxFile+1): "more than"} {
		if _, _, err := detect(t, files{"package.json": content}, site.BuildSettings{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
	p, _, err := detect(t, files{"package.json": "\ufeff" + `{"scripts":{"build":"vite build"},"dependencies":{"vite":1},"engines":"node"}`}, site.BuildSettings{})
	if err != nil || p.Row.ID != "vite" {
		t.Errorf("%+v %v", p, err)
	}
}
