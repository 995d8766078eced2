package publish

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func (p *plane) run(t testing.TB, dir string, change func(*Options)) (Result, error) {
	o := Options{Dir: dir, Project: "p1", Deployment: "d1", SpoolDir: t.TempDir()}
	if change != nil {
		change(&o)
	}
	result, err := Run(t.Context(), p.client(), o)
	left, e := os.ReadDir(o.SpoolDir)
	if e != nil || len(left) > 0 {
		t.Errorf("the spool has %d entries left, %v", len(left), e)
	}
	return result, err
}

func unpack(t testing.TB, enc site.Encoding, b []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(b)
	var err error
	switch enc {
	case site.Brotli:
		r = brotli.NewReader(r)
	case site.Gzip:
		r, err = gzip.NewReader(r)
	case site.Zstd:
		// What a browser takes at least, RFC 9659.
		r, err = zstd.NewReader(r, zstd.WithDecoderMaxWindow(8<<20))
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", enc, err)
	}
	return out
}

// check compares the published deployment with the folder, byte by byte, in
// every encoding and chunk.
func (p *plane) check(t testing.TB, dir string) {
	t.Helper()
	for f := range p.deployed().Files() {
		want, err := os.ReadFile(filepath.Join(dir, f.Path()))
		if err != nil {
			t.Fatal(err)
		}
		for _, enc := range []site.Encoding{site.Brotli, site.Zstd, site.Gzip, site.Identity} {
			if !f.Has(enc) {
				continue
			}
			b := f.Blob(enc)
			stored := p.blob(b.SHA256())
			if got := unpack(t, enc, stored); !bytes.Equal(got, want) {
				t.Errorf("%s in %s: %d bytes, want %d others", f.Path(), enc, len(got), len(want))
			}
			for n := range b.ChunkCount() {
				piece := stored[n*site.ChunkSize : min((n+1)*site.ChunkSize, len(stored))]
				if site.HashOf(piece) != b.Chunk(n) {
					t.Errorf("%s in %s: chunk %d has another hash", f.Path(), enc, n)
				}
			}
			if enc != site.Identity && b.Size() > int64(len(want))*95/100 {
				t.Errorf("%s in %s saves less than 5 %%: %d of %d", f.Path(), enc, b.Size(), len(want))
			}
		}
	}
}

func noise(n int) string {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{7})
	random.Read(b)
	return string(b)
}

func TestRunPublishesEveryByte(t *testing.T) {
	p := newPlane(t)
	text := strings.Repeat("<p>a page of text, and more of it</p>\n", 100)
	dir := tree(t, map[string]string{
		"index.html": "<h1>hi</h1>", "page.html": text, "copy/page.html": text,
		"large.js":  strings.Repeat("function f(a, b) { return a + b }\n", 90_000), // 3 MB: several chunks
		"exact.txt": strings.Repeat("x", 2*site.ChunkSize), "noise.bin": noise(3 << 20), "empty.txt": "",
		"noise.html": noise(40_000), "image.png": text, "big-noise.txt": noise(3<<20 + 17),
	})
	var mu sync.Mutex
	var steps []Step
	result, err := p.run(t, dir, func(o *Options) {
		o.Progress = func(r Progress) {
			mu.Lock()
			defer mu.Unlock()
			if len(steps) == 0 || steps[len(steps)-1] != r.Step {
				steps = append(steps, r.Step)
			}
			if r.Items > r.ItemsTotal || r.Bytes > r.BytesTotal {
				t.Errorf("progress beyond its end: %+v", r)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.check(t, dir)
	m := p.deployed()
	if m.Len() != 10 || result.Files != 10 || result.UploadedBlobs != len(p.put) || result.Bytes != m.TotalSize() {
		t.Errorf("result %+v, manifest of %d files, %d blobs", result, m.Len(), len(p.put))
	}
	if string(result.Deployment) != `{"id":"d1","status":"READY"}` {
		t.Errorf("deployment %s", result.Deployment)
	}
	if want := "hash compress improve upload publish"; strings.TrimSpace(joinSteps(steps)) != want {
		t.Errorf("steps %q, want %q", joinSteps(steps), want)
	}
	for path, variants := range map[string]int{
		"/index.html": 0, "/page.html": 3, "/copy/page.html": 3, "/large.js": 3, "/exact.txt": 3,
		"/noise.bin": 0, "/noise.html": 0, "/image.png": 0, "/empty.txt": 0, "/big-noise.txt": 0,
	} {
		f, ok := m.Lookup(path)
		if !ok {
			t.Errorf("%s is missing", path)
			continue
		}
		n := 0
		for _, e := range site.Variants {
			if f.Has(e) {
				n++
			}
		}
		if n != variants {
			t.Errorf("%s has %d variants, want %d", path, n, variants)
		}
	}
	for h, n := range p.put {
		if n != 1 {
			t.Errorf("blob %s was sent %d times", h, n)
		}
	}
}

func joinSteps(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(string(s) + " ")
	}
	return b.String()
}

func TestNothingUnderOneKiBIsCompressed(t *testing.T) {
	p := newPlane(t)
	dir := tree(t, map[string]string{
		"below.html": strings.Repeat("a", leastCompressed-1), "at.html": strings.Repeat("b", leastCompressed), "above.html": strings.Repeat("c", leastCompressed+1),
	})
	if _, err := p.run(t, dir, nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/below.html": false, "/at.html": true, "/above.html": true} {
		if f, _ := p.deployed().Lookup(path); f.HasVariants() != want {
			t.Errorf("%s: variants %t, want %t", path, f.HasVariants(), want)
		}
	}
}

func TestAVariantSavesFivePerCent(t *testing.T) {
	for size, most := range map[int64]int64{1000: 950, 1024: 972, 100: 95, 10_000: 9_500} {
		if got := mostOf(size); got != most {
			t.Errorf("mostOf(%d) = %d, want %d", size, got, most)
		}
	}
	set, err := newEncoders(&spool{parent: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer set.close()
	text := []byte(strings.Repeat("some text that is repeated ", 100))
	for _, enc := range site.Variants {
		v, err := set.encode(enc, bytes.NewReader(text), text, int64(len(text)), int64(len(text)))
		if err != nil || v == nil {
			t.Fatal(enc, v, err)
		}
		for most, kept := range map[int64]bool{v.Size + 1: true, v.Size: true, v.Size - 1: false} {
			again, err := set.encode(enc, bytes.NewReader(text), text, int64(len(text)), most)
			if err != nil || (again != nil) != kept {
				t.Errorf("%s of %d bytes, most %d: kept %t, %v", enc, v.Size, most, again != nil, err)
			}
		}
	}
}

func TestTheBestBrotliLevelIsUsedWithinTheBudget(t *testing.T) {
	text := strings.Repeat("<div class=\"row\">lorem ipsum dolor sit amet</div> ", 30) + noise(500) + strings.Repeat("consectetur adipiscing elit ", 90)
	dir := tree(t, map[string]string{"page.html": text, "data.json": text + "."})
	size := map[time.Duration]map[string]int64{}
	for _, budget := range []time.Duration{time.Nanosecond, time.Minute} {
		p := newPlane(t)
		if _, err := p.run(t, dir, func(o *Options) { o.Budget = budget }); err != nil {
			t.Fatal(err)
		}
		p.check(t, dir)
		size[budget] = map[string]int64{}
		for f := range p.deployed().Files() {
			size[budget][f.Path()] = f.Blob(site.Brotli).Size()
		}
	}
	if size[time.Minute]["/page.html"] >= size[time.Nanosecond]["/page.html"] {
		t.Errorf("the page did not become smaller: %v", size)
	}
	if size[time.Minute]["/data.json"] != size[time.Nanosecond]["/data.json"] {
		t.Errorf("data is not what is served most, but took the time: %v", size)
	}
}

func TestARedeployDoesOnlyWhatIsNew(t *testing.T) {
	p := newPlane(t)
	text := strings.Repeat("<p>text</p>\n", 500)
	dir := tree(t, map[string]string{"index.html": "<h1>one</h1>", "a.html": text, "b.css": strings.Repeat("a{b:c}\n", 500), "noise.html": noise(5000)})
	first, err := p.run(t, dir, nil)
	if err != nil || first.CompressedFiles != 3 {
		t.Fatal(first, err)
	}
	before, _ := p.deployed().Lookup("/a.html")
	again, err := p.run(t, dir, nil)
	if err != nil || again.CompressedFiles != 0 || again.UploadedBlobs != 0 {
		t.Fatalf("the same folder again: %+v, %v", again, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<h1>two</h1>"), 0o644); err != nil {
		t.Fatal(err)
	}
	one, err := p.run(t, dir, nil)
	if err != nil || one.UploadedBlobs != 1 || one.UploadedBytes != 12 || one.CompressedFiles != 0 {
		t.Fatalf("one small file changed: %+v, %v", one, err)
	}
	p.check(t, dir)
	after, _ := p.deployed().Lookup("/a.html")
	if after.Entry().Variants[site.Brotli].SHA256 != before.Entry().Variants[site.Brotli].SHA256 {
		t.Error("known variants were not taken over")
	}
	if err := os.Rename(filepath.Join(dir, "a.html"), filepath.Join(dir, "moved.html")); err != nil {
		t.Fatal(err)
	}
	moved, err := p.run(t, dir, nil)
	if err != nil || moved.UploadedBlobs != 0 || moved.CompressedFiles != 0 {
		t.Fatalf("a moved file: %+v, %v", moved, err)
	}
}

// A file that was known as something that is never compressed is compressed
// once it is served as text.
func TestAKnownFileOfAnotherTypeIsCompressed(t *testing.T) {
	p := newPlane(t)
	text := strings.Repeat("text ", 1000)
	if _, err := p.run(t, tree(t, map[string]string{"a.bin": text}), nil); err != nil {
		t.Fatal(err)
	}
	result, err := p.run(t, tree(t, map[string]string{"a.txt": text}), nil)
	if err != nil || result.CompressedFiles != 1 || result.UploadedBlobs != 3 {
		t.Fatal(result, err)
	}
}

func TestMoreFilesThanOneAnswerHolds(t *testing.T) {
	files := map[string]string{}
	for i := range 2*site.MaxUploads + 1 {
		files["f"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+time.Duration(i).String()+".txt"] = time.Duration(i).String()
	}
	p := newPlane(t)
	dir := tree(t, files)
	result, err := p.run(t, dir, nil)
	if err != nil || result.UploadedBlobs != len(files) {
		t.Fatal(result, err)
	}
	p.check(t, dir)
	if n := p.called("POST /deployments/d1/uploads"); n != 4 {
		t.Errorf("asked %d times for uploads, want 4", n)
	}
}

func TestRulesAndSettingsGoIntoTheManifest(t *testing.T) {
	p := newPlane(t)
	dir := tree(t, map[string]string{
		"index.html": "x", "_redirects": "/a /b 301\n", "_headers": "/*\n  X-A: b\n",
		"mini-vercel.json": `{"notFound":"none","htmlHandling":"none","immutable":["keep/**"]}`, "keep/a.bin": "a",
	})
	if _, err := p.run(t, dir, func(o *Options) { o.Meta.Source.Message = "hello" }); err != nil {
		t.Fatal(err)
	}
	m := p.deployed()
	if m.Meta.Rules.Redirects != "/a /b 301\n" || m.Meta.Rules.Headers == "" || m.Meta.NotFound != site.NotFoundNone || m.Meta.HTMLHandling != site.HTMLNone || m.Meta.Source.Message != "hello" {
		t.Errorf("meta %+v", m.Meta)
	}
	if f, _ := m.Lookup("/keep/a.bin"); !f.Immutable() || m.Len() != 2 {
		t.Errorf("%d files, immutable %t", m.Len(), f.Immutable())
	}
	// The repository's own mini-vercel.json wins over the output's.
	if _, err := p.run(t, dir, func(o *Options) { o.Meta.Rules.Config = `{"notFound":"404-page"}` }); err != nil {
		t.Fatal(err)
	}
	if m := p.deployed(); m.Meta.NotFound != site.NotFoundPage || m.Meta.Rules.Config != `{"notFound":"404-page"}` {
		t.Errorf("meta %+v", m.Meta)
	}
	if _, err := p.run(t, dir, func(o *Options) { o.Meta.Rules.Config = `{"x":1}` }); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("a wrong config: %v", err)
	}
}

func TestTheSpoolLeavesMemory(t *testing.T) {
	s := &spool{parent: t.TempDir()}
	defer s.close()
	s.held = spoolMemory - 10
	var kept []*stored
	var want []string
	for i, text := range []string{"in memory", "in the shared file", "in it too", noise(spoolPending + 1)} {
		w := spoolWriter{spool: s}
		w.reset(4 << 20)
		if _, err := io.WriteString(&w, text[:len(text)/2]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(&w, text[len(text)/2:]); err != nil {
			t.Fatal(err)
		}
		v, err := w.finish()
		if err != nil {
			t.Fatal(err)
		}
		if inMemory := v.held != nil; inMemory != (i == 0) {
			t.Errorf("variant %d: in memory %t", i, inMemory)
		}
		kept, want = append(kept, v), append(want, text)
	}
	for i, v := range kept {
		in, err := v.open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		in.Close()
		if err != nil || string(got) != want[i] || v.SHA256 != site.HashOf(got) {
			t.Errorf("variant %d: %d bytes, %v", i, len(got), err)
		}
	}
	w := spoolWriter{spool: s}
	w.reset(spoolPending * 2)
	io.WriteString(&w, noise(spoolPending+1))
	w.discard()
	s.close()
	if left, _ := os.ReadDir(s.parent); len(left) > 0 {
		t.Errorf("%d entries are left", len(left))
	}
}
