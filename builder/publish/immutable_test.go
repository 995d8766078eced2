package publish

import (
	"os"
	"slices"
	"strings"
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

// Every hashed file of real builds: the templates of Vite 8, VitePress 1.6,
// Next.js 15 and Docusaurus 3.
var hashedNames = strings.Fields(`
hero-CLDdwZDr.png index-D64VDMd1.css index-GpEN3EET.js react-CHdo91hT.svg vite-BF8QNONU.svg
app.Byl4OWfj.js framework.Cx-5KwGw.js index.md.DCNc1gLG.js index.md.DCNc1gLG.lean.js
inter-italic-cyrillic-ext.r48I6akx.woff2 inter-italic-cyrillic.By2_1cv3.woff2
inter-italic-greek-ext.1u6EdAuj.woff2 inter-italic-greek.DJ8dCoTZ.woff2 inter-italic-latin-ext.CN1xVJS-.woff2
inter-italic-latin.C2AdPX0b.woff2 inter-italic-vietnamese.BSbpV94h.woff2
inter-roman-cyrillic-ext.BBPuwvHQ.woff2 inter-roman-cyrillic.C5lxZ8CY.woff2
inter-roman-greek-ext.CqjqNYQ-.woff2 inter-roman-greek.BBVDIX6e.woff2 inter-roman-latin-ext.4ZJIpNVo.woff2
inter-roman-latin.Di8DUHzh.woff2 inter-roman-vietnamese.BjW4sHH5.woff2 style.DFTx90Kk.css theme.Bv5lJdDH.js
two-words.md.Ck0aSENG.js two-words.md.Ck0aSENG.lean.js
255-15b9cc804e0d9c7d.js 4bd1b696-c023c6e3521b1417.js 9d2ac803b8453c4e.css framework-28b60818f5cffd83.js
layout-e387bf83a41924f7.js main-6f56cad8fb2c15f2.js main-app-224e12828d94a394.js page-107ad302a770c996.js
page-837beac11e55d0b3.js polyfills-42372ed130431b0a.js webpack-8fd0a005154354ee.js
0058b4c6.7ffb21a6.js 01a85c17.9e29bcef.js 14eb3368.841d9903.js 15df8608.24a237b9.js 17896441.1a9656cb.js
18c41134.993127ce.js 1dea6ca3.c30d9283.js 1df93b7f.5c2dd604.js 1f391b9e.54fea6fd.js 1f4725da.b0a1f408.js
25aee49d.42b0c0b0.js 3217192f.fbd015c3.js 33fc5bb8.ca0b92c7.js 3693.19f831d6.js 36994c47.f1d79965.js
3a2db09e.669851a0.js 41f7977f.005408ff.js 4c678320.ed0a171d.js 5062.c4100d3e.js 59362658.597ec66a.js
5e90a9b3.d2c2ea32.js 5e95c892.1fdf5861.js 621db11d.7d625c75.js 6726.d2c424e5.js 6875c492.3bb6d967.js
6bb166bd.97c99ea7.js 7180d3e2.78f1387b.js 804b58ce.0f6b604f.js 814f3328.67ebaca4.js 8b48892d.5bf0cd6d.js
9841.570eac85.js 9e4087bc.b2fe05de.js a6aa9e1f.34665583.js a7456010.47a61b80.js a7bd4aaa.571bb19e.js
a94703ab.296fb27f.js aba21aa0.38d9f5fa.js acecf23e.c3cc8472.js af321b0b.ddc2e583.js bcf87191.86d90d5f.js
c15d9823.6a6ff302.js c88346e3.8d28d9d5.js c8a4e95a.c40d37f6.js c9c9bef8.1d3ca52a.js ccc49370.f5411e96.js
d2046142.85d24a7f.js d669559b.2cf64d3c.js docsVersionDropdown-35e13cbe46c9923327f30a76a90bff3b.png
docusaurus-plushie-banner-a60f7593abca1e3eef26a9afa244e4fb.jpeg e5aefb32.e1488d59.js ef8b811a.9ea10885.js
f4f34a3a.53bd4f5b.js f81c1134.6d64f6c4.js f82cd581.aafdedf8.js f8409a7e.6321cc0d.js fefdd57e.73935f3b.js
localeDropdown-f0d995e751e7656a1b0dbbc1134e49c2.png main.1e081362.js runtime~main.d0975b0b.js
styles.5b0e4cfb.css
`)

func TestRealBuildsNamesEndInHashes(t *testing.T) {
	for _, name := range hashedNames {
		if !endsInHash(name) {
			t.Errorf("%q is not taken for hashed", name)
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
