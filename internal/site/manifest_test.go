package site

import (
	"encoding/json"
	"fmt"
	"math"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// blobOf makes an entry of that size, with the chunks that it needs.
func blobOf(name string, size int64) BlobEntry {
	b := BlobEntry{SHA256: HashOf([]byte(name)), Size: size}
	for n := range chunkCount(size) {
		b.Chunks = append(b.Chunks, HashOf(fmt.Append(nil, name, n)))
	}
	return b
}

func variantOf(name string, size int64) *BlobEntry {
	b := blobOf(name, size)
	return &b
}

// sampleEntries has every combination of variants, and blobs around the size
// of a chunk.
func sampleEntries() []FileEntry {
	var entries []FileEntry
	for mask := range 1 << len(Variants) {
		e := FileEntry{
			Path:        fmt.Sprintf("/files/%d.js", mask),
			ContentType: []string{"text/javascript; charset=utf-8", "text/html; charset=utf-8", ""}[mask%3],
			Immutable:   mask%2 == 0,
			Body:        blobOf(fmt.Sprint("body", mask), int64(mask)*ChunkSize/2),
		}
		for _, v := range Variants {
			if mask>>v&1 == 1 {
				e.Variants[v] = variantOf(fmt.Sprint("variant", mask, v), int64(mask)*ChunkSize/4+int64(v))
			}
		}
		entries = append(entries, e)
	}
	for i, size := range []int64{0, 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize, 2*ChunkSize + 1, 512 << 20, math.MaxUint32} {
		entries = append(entries, FileEntry{Path: fmt.Sprintf("/sizes/%d", i), Body: blobOf(fmt.Sprint("size", size), size)})
	}
	return append(entries,
		FileEntry{Path: "/index.html", ContentType: "text/html", Body: blobOf("index", 10)},
		FileEntry{Path: "/ünï/日本.txt", ContentType: "text/plain", Body: blobOf("unicode", 10)},
		FileEntry{Path: "/...", Body: blobOf("dots", 10)},
	)
}

func sampleMeta() Meta {
	return Meta{
		HTMLHandling: HTMLDrop, NotFound: NotFoundSPA,
		Source: Source{Repository: "https://example.com/r.git", Branch: "main", Message: "a\nb", BuiltAt: time.Unix(1_700_000_000, 0).UTC()},
		Rules:  RuleSources{Config: "{}", Redirects: "/a /b\n", Headers: "/*\n  A: b\n"},
	}
}

func mustManifest(t testing.TB, meta Meta, entries []FileEntry) *Manifest {
	t.Helper()
	m, err := NewManifest(meta, entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestManifestGivesBackItsEntries(t *testing.T) {
	entries := sampleEntries()
	slices.Reverse(entries)
	built := mustManifest(t, sampleMeta(), slices.Clone(entries))
	encoded, err := built.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := DecodeManifest(encoded)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b FileEntry) int { return strings.Compare(a.Path, b.Path) })
	for name, m := range map[string]*Manifest{"built": built, "decoded": decoded} {
		if !reflect.DeepEqual(m.Meta, sampleMeta()) {
			t.Errorf("%s: meta %+v", name, m.Meta)
		}
		if m.Len() != len(entries) {
			t.Fatalf("%s: %d files of %d", name, m.Len(), len(entries))
		}
		total := int64(0)
		for i, f := range slices.Collect(m.Files()) {
			want := entries[i]
			if got := f.Entry(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: file %d is\n%+v, want\n%+v", name, i, got, want)
			}
			if f.Index() != i || m.File(i).Path() != want.Path {
				t.Errorf("%s: file %d has index %d", name, i, f.Index())
			}
			if has := want.Variants != [len(Variants)]*BlobEntry{}; f.HasVariants() != has {
				t.Errorf("%s: %s has variants: %t", name, want.Path, f.HasVariants())
			}
			found, ok := m.Lookup(want.Path)
			if !ok || found.Index() != i {
				t.Errorf("%s: %s is not found", name, want.Path)
			}
			total += want.Body.Size
		}
		if m.TotalSize() != total {
			t.Errorf("%s: %d bytes in all, want %d", name, m.TotalSize(), total)
		}
	}
}

func TestManifestSearch(t *testing.T) {
	m := mustManifest(t, Meta{}, []FileEntry{{Path: "/b"}, {Path: "/b/a"}, {Path: "/b-"}, {Path: "/d"}})
	for _, c := range []struct {
		path  string
		at    int
		found bool
	}{
		{"", 0, false}, {"/", 0, false}, {"/a", 0, false}, {"/b", 0, true}, {"/b!", 1, false}, {"/b-", 1, true},
		{"/b/", 2, false}, {"/b/a", 2, true}, {"/b/a/", 3, false}, {"/d", 3, true}, {"/e", 4, false}, {"\xff", 4, false},
	} {
		if at, found := m.Search(c.path); at != c.at || found != c.found {
			t.Errorf("%q: %d, %t, want %d, %t", c.path, at, found, c.at, c.found)
		}
	}
	if at, found := mustManifest(t, Meta{}, nil).Search("/"); at != 0 || found {
		t.Errorf("empty: %d, %t", at, found)
	}
}

func TestManifestBlobsAreDistinct(t *testing.T) {
	same := blobOf("same", 5)
	m := mustManifest(t, Meta{}, []FileEntry{
		{Path: "/a", Body: same},
		{Path: "/b", Body: same, Variants: [3]*BlobEntry{Brotli: variantOf("br", 3), Gzip: &same}},
	})
	var got []string
	for b := range m.Blobs() {
		got = append(got, fmt.Sprint(b.SHA256(), b.Size()))
	}
	slices.Sort(got)
	want := []string{fmt.Sprint(HashOf([]byte("same")), 5), fmt.Sprint(HashOf([]byte("br")), 3)}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBlobChunks(t *testing.T) {
	for _, c := range []struct {
		size  int64
		count int
	}{{0, 0}, {1, 1}, {ChunkSize - 1, 1}, {ChunkSize, 1}, {ChunkSize + 1, 2}, {2 * ChunkSize, 2}, {2*ChunkSize + 1, 3}} {
		entry := blobOf("x", c.size)
		b := mustManifest(t, Meta{}, []FileEntry{{Path: "/a", Body: blobOf("first", 3*ChunkSize)}, {Path: "/b", Body: entry}}).File(1).Blob(Identity)
		if b.ChunkCount() != c.count {
			t.Errorf("%d bytes: %d chunks, want %d", c.size, b.ChunkCount(), c.count)
		}
		for n := range b.ChunkCount() {
			want := entry.SHA256
			if len(entry.Chunks) > 0 {
				want = entry.Chunks[n]
			}
			if b.Chunk(n) != want {
				t.Errorf("%d bytes: chunk %d is wrong", c.size, n)
			}
		}
	}
}

func TestNewManifestRefuses(t *testing.T) {
	for name, entries := range map[string][]FileEntry{
		"a path that is not normal": {{Path: "/../x"}},
		"a path twice":              {{Path: "/a"}, {Path: "/b"}, {Path: "/a"}},
		"a negative size":           {{Path: "/a", Body: BlobEntry{Size: -1}}},
		"a size over 32 bits":       {{Path: "/a", Body: blobOf("x", math.MaxUint32+1)}},
		"a chunk too few":           {{Path: "/a", Body: BlobEntry{Size: ChunkSize + 1, Chunks: make([]Hash, 1)}}},
		"a chunk too many":          {{Path: "/a", Body: BlobEntry{Size: ChunkSize, Chunks: make([]Hash, 1)}}},
		"chunks of a variant":       {{Path: "/a", Variants: [3]*BlobEntry{{Size: 2 * ChunkSize}}}},
		"a header in a type":        {{Path: "/a", ContentType: "text/html\r\nSet-Cookie: a=b"}},
	} {
		if m, err := NewManifest(Meta{}, entries); err == nil {
			t.Errorf("%s is allowed: %d files", name, m.Len())
		}
	}
}

func TestContentTypeLimits(t *testing.T) {
	for t2, ok := range map[string]bool{
		"": true, "text/html; charset=utf-8": true, strings.Repeat("x", MaxContentTypeLength-1): true, strings.Repeat("x", MaxContentTypeLength): true,
		strings.Repeat("x", MaxContentTypeLength+1): false, "a\tb": false, "a\nb": false, "a\x00": false, "é": false, "a\x7f": false,
	} {
		if err := CheckContentType(t2); (err == nil) != ok {
			t.Errorf("%.40q: %v", t2, err)
		}
	}
	entries := make([]FileEntry, maxTypes+2)
	for i := range entries {
		entries[i] = FileEntry{Path: fmt.Sprintf("/%05d", i), ContentType: fmt.Sprintf("x/%d", i)}
	}
	for n, ok := range map[int]bool{maxTypes + 1: true, maxTypes + 2: false} {
		if _, err := NewManifest(Meta{}, entries[:n]); (err == nil) != ok {
			t.Errorf("%d types: %v", n, err)
		}
	}
}

func TestCheckPath(t *testing.T) {
	long := func(n int) string { return "/" + strings.Repeat("x", n-1) }
	for path, ok := range map[string]bool{
		"/a": true, "/a/b.c": true, "/...": true, "/.a": true, "/a..": true, "/ ": true, "/日本": true, "/\u0080": true, `/\`: true,
		long(MaxPathLength - 1): true, long(MaxPathLength): true, long(MaxPathLength + 1): false,
		"/" + strings.Repeat("é", MaxPathLength): false,
		"": false, "a": false, "/": false, "//": false, "/a/": false, "//a": false, "/a//b": false,
		"/.": false, "/..": false, "/./a": false, "/a/.": false, "/../a": false, "/a/..": false, "/a/../b": false,
		"/\x00": false, "/\x1f": false, "/\x7f": false, "/a\nb": false, "/\xff": false, "/a\xc3": false,
	} {
		if err := CheckPath(path); (err == nil) != ok {
			t.Errorf("%.40q: %v", path, err)
		}
	}
}

func TestEncodingNames(t *testing.T) {
	for e, want := range map[Encoding]string{Brotli: "br", Zstd: "zstd", Gzip: "gzip", Identity: "identity"} {
		if e.String() != want {
			t.Errorf("%d is %q, want %q", e, e, want)
		}
	}
}

func TestManifestJSONShowsEverything(t *testing.T) {
	body := blobOf("body", ChunkSize+1)
	m := mustManifest(t, sampleMeta(), []FileEntry{{Path: "/a", ContentType: "text/css", Immutable: true, Body: body, Variants: [3]*BlobEntry{Gzip: variantOf("gz", 7)}}})
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"htmlHandling":"drop-trailing-slash"`, `"path":"/a"`, `"contentType":"text/css"`, `"immutable":true`,
		`"chunks":["` + body.Chunks[0].String(), `"variants":{"gzip":{"sha256":"` + HashOf([]byte("gz")).String() + `","size":7}}`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, s := range []string{"/", "/a", "/a/../b", "//", "/a/", "/.", "/\x00", "/日本", "/\xff", "/...", "/a\u2028b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if CheckPath(p) != nil {
			return
		}
		if clean := path.Clean(p); clean != p || p[0] != '/' || p == "/" || len(p) > MaxPathLength {
			t.Fatalf("%q is allowed; clean it is %q", p, clean)
		}
		// What is allowed can be asked for: its canonical URL leads back to it.
		if back, err := DecodePath(CanonicalPath(p)); len(CanonicalPath(p)) <= MaxTargetLength && (err != nil || back != p) {
			t.Fatalf("%q is asked for by %q, which is %q, %v", p, CanonicalPath(p), back, err)
		}
	})
}
