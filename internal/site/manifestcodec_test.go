package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// testEncoder makes frames as Encode does; one serves many tests.
var testEncoder, errTestEncoder = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithSingleSegment(true))

// frameOf makes an encoded manifest of columns.
func frameOf(t testing.TB, columns []byte) []byte {
	t.Helper()
	if errTestEncoder != nil {
		t.Fatal(errTestEncoder)
	}
	return testEncoder.EncodeAll(columns, []byte(ManifestMagic))
}

// columnsOf is what is inside an encoded manifest.
func columnsOf(t testing.TB, m *Manifest) []byte {
	t.Helper()
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	columns, err := d.DecodeAll(encoded[len(ManifestMagic):], nil)
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

func TestDecodeManifestRefusesEveryDamage(t *testing.T) {
	m := mustManifest(t, sampleMeta(), sampleEntries()[:10])
	columns := columnsOf(t, m)
	if _, err := DecodeManifest(frameOf(t, columns)); err != nil {
		t.Fatal(err)
	}
	for n := range columns {
		if _, err := DecodeManifest(frameOf(t, columns[:n])); err == nil {
			t.Errorf("cut to %d bytes, it is decoded", n)
		}
	}
	if _, err := DecodeManifest(frameOf(t, append(bytes.Clone(columns), 0))); err == nil {
		t.Error("with a byte more it is decoded")
	}
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range encoded {
		if _, err := DecodeManifest(encoded[:n]); err == nil {
			t.Errorf("a frame of %d bytes is decoded", n)
		}
		if n >= len(ManifestMagic) {
			continue
		}
		other := bytes.Clone(encoded)
		other[n] ^= 1
		if _, err := DecodeManifest(other); err == nil {
			t.Errorf("with another magic at %d it is decoded", n)
		}
	}
	// The frame's checksum sees what the columns can't.
	flipped := bytes.Clone(encoded)
	flipped[len(flipped)/2] ^= 1
	if _, err := DecodeManifest(flipped); err == nil {
		t.Error("a flipped bit is not seen")
	}
}

func TestDecodeManifestChecksWhatColumnsSay(t *testing.T) {
	const (
		files = iota
		blobs
		chunked
		chunks
		paths
		types
		meta
	)
	entries := []FileEntry{
		{Path: "/a", ContentType: "x", Body: blobOf("a", 2*ChunkSize)},
		{Path: "/b", ContentType: "x", Body: blobOf("b", 5), Variants: [3]*BlobEntry{Gzip: variantOf("gz", 3)}},
	}
	good := columnsOf(t, mustManifest(t, Meta{}, entries))
	words := headerWords * 4
	at := map[string]int{
		"paths": words, "lengths": words + 4, "types": words + 12, "typeOf": words + 12 + 5, "flags": words + 12 + 5 + 4,
	}
	at["hashes"] = at["flags"] + 2
	at["sizes"] = at["hashes"] + 3*HashSize
	at["chunked"] = at["sizes"] + 12
	at["chunks"] = at["chunked"] + 4
	at["meta"] = at["chunks"] + 2*HashSize
	if string(good[at["types"]:at["typeOf"]]) != `["x"]` || string(good[at["meta"]:]) != `{}` {
		t.Fatalf("the columns are not where this test looks for them: %q", good)
	}
	word := func(i int, v uint32) func([]byte) {
		return func(b []byte) { binary.LittleEndian.PutUint32(b[4*i:], v) }
	}
	column := func(name string, offset int, v ...byte) func([]byte) {
		return func(b []byte) { copy(b[at[name]+offset:], v) }
	}
	for name, damage := range map[string]func([]byte){
		"no files":                  word(files, 0),
		"more files":                word(files, 3),
		"very many files":           word(files, math.MaxUint32),
		"files at the sign bit":     word(files, 1<<31),
		"fewer blobs":               word(blobs, 2),
		"more blobs":                word(blobs, 4),
		"very many blobs":           word(blobs, math.MaxUint32),
		"no chunked":                word(chunked, 0),
		"very many chunked":         word(chunked, math.MaxUint32),
		"fewer chunks":              word(chunks, 1),
		"very many chunks":          word(chunks, math.MaxUint32),
		"shorter paths":             word(paths, 3),
		"very long paths":           word(paths, math.MaxUint32),
		"very long types":           word(types, math.MaxUint32),
		"very long meta":            word(meta, math.MaxUint32),
		"paths out of order":        column("paths", 1, 'z'),
		"equal paths":               column("paths", 1, 'b'),
		"a path without its slash":  column("paths", 0, 'x'),
		"a path with a control":     column("paths", 1, 1),
		"a path beyond all paths":   column("lengths", 0, 9),
		"lengths that overflow":     column("lengths", 0, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0),
		"types that are no JSON":    column("types", 0, 'x'),
		"a type with a line break":  column("types", 1, '1', ' ', ' '),
		"a type that is not there":  column("typeOf", 0, 1),
		"an unknown flag":           column("flags", 0, 1<<5),
		"a variant more":            column("flags", 0, 1),
		"a variant fewer":           column("flags", 1, 0),
		"a size with more chunks":   column("sizes", 0, 1, 0, 0x20),
		"a size with fewer chunks":  column("sizes", 0, 0, 0, 0),
		"a size that needs chunks":  column("sizes", 6, 0xff),
		"chunks of another blob":    column("chunked", 0, 1),
		"chunks of a missing blob":  column("chunked", 0, 200),
		"meta that is no object":    column("meta", 0, '1', ' '),
		"meta that is no JSON":      column("meta", 0, 'x'),
		"meta with surplus content": column("meta", 0, '1', '1'),
	} {
		b := bytes.Clone(good)
		damage(b)
		if _, err := DecodeManifest(frameOf(t, b)); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
	if _, err := DecodeManifest(frameOf(t, good)); err != nil {
		t.Errorf("undamaged: %v", err)
	}
}

func TestDecodeManifestIsNoBomb(t *testing.T) {
	zeros := func(n int) []byte { return frameOf(t, make([]byte, n))[len(ManifestMagic):] }
	claim := func(n uint32) []byte { // a frame that says it has n bytes, and has one
		b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0} // single segment, four bytes of size
		b = binary.LittleEndian.AppendUint32(b, n)
		return append(b, 0x09, 0x00, 0x00, 'x') // last block, raw, one byte
	}
	for name, frame := range map[string][]byte{
		"much in few bytes":           zeros(64 << 20),
		"a claim over the limit":      claim(maxDecodedManifest + 1),
		"over the ratio":              zeros(freeDecodedSize + 1),
		"a large claim":               claim(maxDecodedManifest),
		"the largest claim":           claim(math.MaxUint32),
		"a small frame, then a large": append(zeros(1000), zeros(16<<20)...),
		"a small frame, many times":   bytes.Repeat(zeros(1<<20), 200),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := DecodeManifest(append([]byte(ManifestMagic), frame...))
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: decoded", name)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
			t.Errorf("%s: %d bytes of input made it allocate %d MiB", name, len(frame), got>>20)
		}
	}
	if _, err := DecodeManifest(make([]byte, MaxManifestSize+1)); err == nil {
		t.Error("more than the most is decoded")
	}
}

// TestManyContentTypesAreNoBomb: JSON of nothing but empty strings takes many
// times its size in memory.
func TestManyContentTypesAreNoBomb(t *testing.T) {
	types := append([]byte(`[""`), bytes.Repeat([]byte(`,""`), 10<<20)...)
	types = append(types, ']')
	paths := make([]byte, 256<<10) // that do not compress, so that the size is believed
	rand.NewChaCha8([32]byte{}).Read(paths)
	var columns []byte
	for _, n := range [headerWords]int{0, 0, 0, 0, len(paths), len(types), 2} {
		columns = binary.LittleEndian.AppendUint32(columns, uint32(n))
	}
	columns = slices.Concat(columns, paths, types, []byte("{}"))
	encoded := frameOf(t, columns)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := DecodeManifest(encoded)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, errManifest) {
		t.Errorf("decoded: %v", err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("%d bytes of input made it allocate %d MiB", len(encoded), got>>20)
	}
}

func TestManifestAtItsLimits(t *testing.T) {
	// Every path as long as paths can be, and all alike at the start.
	entries := make([]FileEntry, 2_000)
	for i := range entries {
		name := fmt.Sprintf("/%05d", i)
		entries[i] = FileEntry{Path: "/" + strings.Repeat("x", MaxPathLength-len(name)-1) + name, Body: BlobEntry{SHA256: HashOf([]byte(name))}}
	}
	m := mustManifest(t, Meta{}, entries)
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeManifest(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := again.Lookup(entries[777].Path); !ok || f.Index() != 777 {
		t.Error("a path is lost")
	}
}

func TestEmptyManifest(t *testing.T) {
	encoded, err := mustManifest(t, Meta{}, nil).Encode()
	if err != nil {
		t.Fatal(err)
	}
	m, err := DecodeManifest(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for range m.Blobs() {
		t.Error("it has a blob")
	}
	if m.Len() != 0 || m.TotalSize() != 0 {
		t.Errorf("%d files, %d bytes", m.Len(), m.TotalSize())
	}
}

func FuzzDecodeManifest(f *testing.F) {
	for _, entries := range [][]FileEntry{nil, sampleEntries()[:4], sampleEntries()[12:], {{Path: "/a"}}} {
		// Many chunks are many bytes for the fuzzer to turn over.
		entries = slices.DeleteFunc(entries, func(e FileEntry) bool { return e.Body.Size > 3*ChunkSize })
		f.Add(columnsOf(f, mustManifest(f, sampleMeta(), entries)))
	}
	f.Fuzz(func(t *testing.T, columns []byte) {
		// As it is, for the frame's own checks, and as the columns of a sound
		// frame, which is where a mutation gets further.
		for _, input := range [][]byte{columns, frameOf(t, columns)} {
			m, err := DecodeManifest(input)
			if err != nil {
				continue
			}
			useAll(t, m)
			encoded, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			again, err := DecodeManifest(encoded)
			if err != nil {
				t.Fatalf("what was decoded can't be decoded again: %v", err)
			}
			a, b := columnsOf(t, m), columnsOf(t, again)
			if !bytes.Equal(a, b) {
				t.Fatalf("another manifest after a round trip:\n%q\n%q", a, b)
			}
		}
	})
}

// useAll calls every method of a manifest.
func useAll(t *testing.T, m *Manifest) {
	t.Helper()
	for file := range m.Files() {
		if found, ok := m.Lookup(file.Path()); !ok || found.Index() != file.Index() {
			t.Fatalf("%q is not found", file.Path())
		}
		_ = file.Entry()
		for e := Brotli; e <= Identity; e++ {
			if file.Has(e) {
				b := file.Blob(e)
				for n := range b.ChunkCount() {
					_ = b.Chunk(n)
				}
			}
		}
		m.Resolve(file.Path())
	}
	for b := range m.Blobs() {
		_ = b.Entry()
	}
	m.Lookup("/missing")
	_ = m.TotalSize()
	_ = m.MemorySize()
	if _, err := m.MarshalJSON(); err != nil {
		t.Fatal(err)
	}
}

// largeManifest has 100,000 files, 80 % with three variants.
func largeManifest(b testing.TB) *Manifest {
	b.Helper()
	entries := make([]FileEntry, 100_000)
	types := []string{"text/html; charset=utf-8", "text/javascript; charset=utf-8", "image/png", "application/json"}
	for i := range entries {
		name := fmt.Sprintf("/docs/section-%03d/page-%05d/index.html", i/500, i)
		hash := func(kind string) Hash { return sha256.Sum256([]byte(kind + name)) }
		entries[i] = FileEntry{Path: name, ContentType: types[i%len(types)], Immutable: i%3 == 0, Body: BlobEntry{SHA256: hash("body"), Size: int64(1000 + i%20_000)}}
		if i%5 != 0 {
			for _, v := range Variants {
				entries[i].Variants[v] = &BlobEntry{SHA256: hash(v.String()), Size: int64(300 + i%6_000)}
			}
		}
	}
	return mustManifest(b, sampleMeta(), entries)
}

func TestAManifestOf100kFilesIsSmall(t *testing.T) {
	encoded, err := largeManifest(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var m *Manifest
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	allocs := testing.AllocsPerRun(1, func() {
		if m, err = DecodeManifest(encoded); err != nil {
			t.Fatal(err)
		}
	})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if allocs > 100 {
		t.Errorf("%.0f allocations", allocs)
	}
	resident := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if said := m.MemorySize(); resident > 20<<20 || said < resident*9/10 || said > resident*11/10 {
		t.Errorf("it takes %d bytes, and says %d", resident, said)
	}
	runtime.KeepAlive(m)
	m = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	if left := int64(after.HeapAlloc) - int64(before.HeapAlloc); left > 1<<20 {
		t.Errorf("without it, %d bytes are still held", left)
	}
	runtime.KeepAlive(encoded)
}

func BenchmarkManifestDecode100k(b *testing.B) {
	encoded, err := largeManifest(b).Encode()
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m, err := DecodeManifest(encoded)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	resident := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / (1 << 20)
	size := float64(m.MemorySize()) / (1 << 20)
	runtime.KeepAlive(m)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeManifest(encoded); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(resident, "MiB-resident")
	b.ReportMetric(size, "MiB-said")
	b.ReportMetric(float64(len(encoded))/(1<<20), "MiB-encoded")
}

func BenchmarkManifestEncode100k(b *testing.B) {
	m := largeManifest(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkManifestLookup100k(b *testing.B) {
	m := largeManifest(b)
	paths := make([]string, 1024)
	for i := range paths {
		paths[i] = m.File(i * 97).Path()
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := m.Lookup(paths[i%len(paths)]); !ok {
			b.Fatal("missing")
		}
	}
}

// TestManifestFormatIsStable reads a manifest that an earlier version wrote:
// those in buckets never change. Where the format must change, the version in
// the magic does, and this file stays.
func TestManifestFormatIsStable(t *testing.T) {
	encoded, err := os.ReadFile("testdata/manifest-v1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeManifest(encoded)
	if err != nil {
		t.Fatal(err)
	}
	want := mustManifest(t, sampleMeta(), sampleEntries()[:12])
	if !bytes.Equal(columnsOf(t, got), columnsOf(t, want)) {
		t.Error("it is read as another manifest than it was")
	}
}
