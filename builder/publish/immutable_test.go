package publish

import (
	"os"
	"slices"
	"testing"
)

func TestEndsInHash(t *testing.T) {
	for name, want := range map[string]bool{
		// Vite
		"index-DkCkQ3XJ.js": true, "index-B7q9Tw_g.css": true, "react-CHdo91hT.svg": true, "vendor-D-f_x3aB.js": true, "a-BQ-ZZ_1x.js": true,
		// Next.js
		"webpack-8fa1640cc84ba8fe.js": true, "main-app-5d1a6f5f7a1c7f6f.js": true, "4bd1b696-100b9d70ed4e49c1.js": true,
		"polyfills-42372ed130431b0a.js": true, "f80d3c1e5b2a4a7e.css": true, "_buildManifest.js": false, "_ssgManifest.js": false,
		// Docusaurus
		"main.0e3f7a1b.js": true, "styles.7c6b1a0e.css": true, "runtime~main.1a2b3c4d.js": true, "c4f5d8e4.5b6c7d8e.js": true,
		"undraw_docusaurus_mountain-5ffd8c2e5d1e0b5c7d6d2e9a2a1c1b0f.svg": true,
		// VitePress
		"app.BQZ-8aBc.js": true, "guide_index.md.DxKq7_ab.js": true, "guide_index.md.DxKq7_ab.lean.js": true, "inter-roman-latin.Di8DUHzh.woff2": true, "style.B3xS2kQm.css": true,
		// webpack, CRA
		"main.8f3c9d2a.chunk.js": false, "787.1a2b3c4d5e.min.js": true, "main.12345678.js": true,
		// names that people give
		"logo.svg": false, "favicon.ico": false, "jquery-3.7.1.min.js": false, "bootstrap.bundle.min.js": false, "hero-background.jpg": false,
		"my-component.js": false, "react-Component.js": false, "photo-20240102.jpg": false, "release-v1.2.3.js": false, "index-homepage.js": false,
		"deadbeef.js": false, "a.deadbee.js": false, "robots.txt": false, "x": false, "": false, "-": false, ".": false,
	} {
		if got := endsInHash(name); got != want {
			t.Errorf("endsInHash(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestImmutableFiles(t *testing.T) {
	dir := tree(t, map[string]string{"index.html": `<script src="/assets/index-DkCkQ3XJ.js"></script><img src="assets/logo-homepage.png">`})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	folder, err := Scan(t.Context(), dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rule := &FrameworkRule{Folders: []string{"/assets", "static/js/"}, Sources: []string{"public/assets/brand-DkCkQ3XJ.svg", "src/app.ts"}}
	for name, row := range map[string]struct {
		rule  *FrameworkRule
		globs []string
		want  map[string]bool
	}{
		"a folder": {nil, nil, map[string]bool{
			"_next/static/chunks/a.js": true, "_astro/x.css": true, "_app/immutable/a/b.js": true, "_nuxt/entry.js": true,
			"assets/index-DkCkQ3XJ.js": true, "assets/index-Zzzzzz9Z.js": false, "assets/logo-homepage.png": false,
			"x/_next/static/a.js": false, "_app/version.json": false, "index.html": false,
		}},
		"a framework's output": {rule, nil, map[string]bool{
			"assets/index-DkCkQ3XJ.js": true, "assets/lazy-Zzzzzz9Z.js": true, "static/js/main.12345678.js": true,
			"assets/logo.svg": false, "other/index-DkCkQ3XJ.js": false, "assets/brand-DkCkQ3XJ.svg": false, "_nuxt/entry.js": false,
		}},
		"globs": {rule, []string{"fonts/**", "img/*.{png,webp}"}, map[string]bool{
			"fonts/a/b.woff2": true, "fonts/x": true, "img/a.png": true, "img/a.jpg": false, "img/x/a.png": false, "assets/logo.svg": false,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := newImmutables(root, folder, row.globs, row.rule)
			if err != nil {
				t.Fatal(err)
			}
			for file, want := range row.want {
				if got := m.has(file); got != want {
					t.Errorf("%s: immutable %t, want %t", file, got, want)
				}
			}
		})
	}
	if _, err := newImmutables(root, folder, []string{"a[", "b"}, nil); err == nil {
		t.Error("a pattern that is none was taken")
	}
}

func TestSourceFilesLeaveOutWhatIsNoSource(t *testing.T) {
	dir := tree(t, map[string]string{"public/assets/a.js": "a", ".git/HEAD": "x", "node_modules/x.js": "x", "src/node_modules/y.js": "y"})
	got, err := SourceFiles(dir)
	if want := []string{"public/assets/a.js"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
