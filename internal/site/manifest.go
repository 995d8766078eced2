package site

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"
	"time"
)

// ChunkSize is the unit, in bytes, in which edges fetch, verify, share and
// cache blobs. A smaller blob is one chunk, whose hash is the blob's own.
const ChunkSize = 1 << 20

// Encoding is a content coding in which a file's bytes are stored.
type Encoding uint8

// The encodings, in the order in which ties between equal qualities are
// decided. Identity is the file as it was built.
const (
	Brotli Encoding = iota
	Zstd
	Gzip
	Identity
)

// Variants lists the compressed encodings.
var Variants = [...]Encoding{Brotli, Zstd, Gzip}

// String returns the coding's name as it stands in Content-Encoding.
func (e Encoding) String() string { return [...]string{"br", "zstd", "gzip", "identity"}[e] }

// HTMLHandling says at which paths a site's HTML files answer.
type HTMLHandling string

// The modes. The zero value stands for HTMLAuto.
const (
	HTMLAuto  HTMLHandling = "auto-trailing-slash"
	HTMLForce HTMLHandling = "force-trailing-slash"
	HTMLDrop  HTMLHandling = "drop-trailing-slash"
	HTMLNone  HTMLHandling = "none"
)

// NotFound says what a site answers at a path that it doesn't have.
type NotFound string

// The modes. The zero value stands for NotFoundAuto.
const (
	NotFoundAuto NotFound = "auto" // 404-page, else single-page-application, else none, by the files that are there
	NotFoundPage NotFound = "404-page"
	NotFoundSPA  NotFound = "single-page-application"
	NotFoundNone NotFound = "none"
)

// Meta is what a manifest holds besides its files.
type Meta struct {
	HTMLHandling HTMLHandling `json:"htmlHandling,omitempty"`
	NotFound     NotFound     `json:"notFound,omitempty"`
	Source       Source       `json:"source,omitzero"`
	Rules        RuleSources  `json:"rules,omitzero"`
	Made         Made         `json:"made,omitzero"`
}

// Source says where a deployment's files came from.
type Source struct {
	Repository string    `json:"repository,omitempty"`
	Branch     string    `json:"branch,omitempty"`
	Commit     string    `json:"commit,omitempty"`
	Message    string    `json:"message,omitempty"`
	Author     string    `json:"author,omitempty"`
	Framework  string    `json:"framework,omitempty"`
	BuiltAt    time.Time `json:"builtAt,omitzero"`
}

// MaxRuleFile is the most that each of them may have, in bytes.
const MaxRuleFile = 4 << 20

// RuleSources are the texts of the files in the root of a deployed folder that
// steer how it is served. They are not served themselves.
type RuleSources struct {
	Config    string `json:"config,omitempty"`    // mini-vercel.json
	Redirects string `json:"redirects,omitempty"` // _redirects
	Headers   string `json:"headers,omitempty"`   // _headers
}

// FileEntry is one file of a manifest that is being built.
type FileEntry struct {
	Path        string // decoded URL path, begins with a slash
	ContentType string
	Immutable   bool // the path's bytes never change: cached for a year
	Body        BlobEntry
	Variants    [len(Variants)]*BlobEntry // by Encoding; nil where there is none
	Hints       []string                  // values of Link, each a [CheckHint]
}

// BlobEntry names the bytes of a file or of one of its variants.
type BlobEntry struct {
	SHA256 Hash
	Size   int64
	Chunks []Hash // of each ChunkSize bytes; none where Size ≤ ChunkSize
}

// Manifest is one deployment's map from paths to blobs. It is read-only, and
// safe for many readers at once. Inside it is a set of columns sorted by path,
// most of which alias one buffer: at 100,000 files it takes about 18 MB and is
// decoded in some 10 ms.
type Manifest struct {
	Meta Meta

	paths    string   // all paths, one after the other
	pathEnds []uint32 // by file
	types    []string // the distinct content types
	typeOf   []uint16 // by file
	flags    []byte   // by file: flagImmutable, and 1<<encoding for each variant
	variant  []uint32 // by file: its first variant's index among all variants

	hashes  []byte   // HashSize bytes a blob: files first, then variants
	sizes   []uint32 // by blob
	chunked []uint32 // the blobs over ChunkSize, ascending
	chunkAt []uint32 // by chunked blob: its first chunk's index
	chunks  []byte   // HashSize bytes a chunk

	redirects Redirects
	headers   HeaderRules
	hints     hintTable

	copied int // bytes that the buffer holds besides the columns that alias it
}

const (
	flagVariants  = 1<<len(Variants) - 1
	flagImmutable = 1 << 7
)

// NewManifest builds a manifest from entries, which it sorts in place.
func NewManifest(meta Meta, entries []FileEntry) (*Manifest, error) {
	slices.SortFunc(entries, func(a, b FileEntry) int { return cmp.Compare(a.Path, b.Path) })
	m := &Manifest{Meta: meta}
	var paths []byte
	typeIndex := map[string]uint16{}
	for i := range entries {
		e := &entries[i]
		if err := CheckPath(e.Path); err != nil {
			return nil, err
		}
		if i > 0 && entries[i-1].Path == e.Path {
			return nil, fmt.Errorf("file %q is listed twice", e.Path)
		}
		paths = append(paths, e.Path...)
		m.pathEnds = append(m.pathEnds, uint32(len(paths)))
		t, ok := typeIndex[e.ContentType]
		if !ok {
			if err := CheckContentType(e.ContentType); err != nil {
				return nil, fmt.Errorf("file %q: %w", e.Path, err)
			}
			if len(m.types) > maxTypes {
				return nil, fmt.Errorf("more than %d content types", maxTypes)
			}
			t = uint16(len(m.types))
			typeIndex[e.ContentType] = t
			m.types = append(m.types, e.ContentType)
		}
		m.typeOf = append(m.typeOf, t)
		flags := byte(0)
		if e.Immutable {
			flags = flagImmutable
		}
		for enc, v := range e.Variants {
			if v != nil {
				flags |= 1 << enc
			}
		}
		m.flags = append(m.flags, flags)
		if err := m.addBlob(&e.Body); err != nil {
			return nil, fmt.Errorf("file %q: %w", e.Path, err)
		}
	}
	for i := range entries {
		m.variant = append(m.variant, uint32(len(m.sizes)))
		for _, v := range entries[i].Variants {
			if v == nil {
				continue
			}
			if err := m.addBlob(v); err != nil {
				return nil, fmt.Errorf("file %q: %w", entries[i].Path, err)
			}
		}
	}
	m.paths = string(paths)
	return m, m.addHints(entries)
}

func (m *Manifest) addBlob(b *BlobEntry) error {
	want := chunkCount(b.Size)
	if b.Size < 0 || b.Size > maxBlobSize {
		return fmt.Errorf("a blob has 0 to %d bytes, this has %d", int64(maxBlobSize), b.Size)
	}
	if len(b.Chunks) != want {
		return fmt.Errorf("a blob of %d bytes lists %d chunks, this lists %d", b.Size, want, len(b.Chunks))
	}
	if want > 0 {
		m.chunked = append(m.chunked, uint32(len(m.sizes)))
		m.chunkAt = append(m.chunkAt, uint32(len(m.chunks)/HashSize))
		for _, c := range b.Chunks {
			m.chunks = append(m.chunks, c[:]...)
		}
	}
	m.hashes = append(m.hashes, b.SHA256[:]...)
	m.sizes = append(m.sizes, uint32(b.Size))
	return nil
}

// chunkCount is how many chunks a blob of that many bytes lists.
func chunkCount(size int64) int {
	if size <= ChunkSize {
		return 0
	}
	return int((size + ChunkSize - 1) / ChunkSize)
}

// SetRules puts rules into a manifest that nobody reads yet. What the sources in
// its meta data say is for people.
func (m *Manifest) SetRules(r Redirects, h HeaderRules) { m.redirects, m.headers = r, h }

// Redirects returns the redirects and rewrites.
func (m *Manifest) Redirects() *Redirects { return &m.redirects }

// HeaderRules returns the rules for headers.
func (m *Manifest) HeaderRules() *HeaderRules { return &m.headers }

// Len returns the number of files.
func (m *Manifest) Len() int { return len(m.pathEnds) }

// File returns the i-th file in the order of paths.
func (m *Manifest) File(i int) File { return File{m, i} }

// Files yields all files in the order of paths.
func (m *Manifest) Files() iter.Seq[File] {
	return func(yield func(File) bool) {
		for i := range m.Len() {
			if !yield(File{m, i}) {
				return
			}
		}
	}
}

// Search returns the position of path among the files, or where it would stand.
func (m *Manifest) Search(path string) (int, bool) {
	i := sort.Search(m.Len(), func(i int) bool { return m.path(i) >= path })
	return i, i < m.Len() && m.path(i) == path
}

// Lookup finds a file by its decoded path. It does not allocate.
func (m *Manifest) Lookup(path string) (File, bool) {
	i, ok := m.Search(path)
	return File{m, i}, ok
}

func (m *Manifest) path(i int) string {
	start := uint32(0)
	if i > 0 {
		start = m.pathEnds[i-1]
	}
	return m.paths[start:m.pathEnds[i]]
}

// Blobs yields every distinct blob that the manifest names, in no order.
func (m *Manifest) Blobs() iter.Seq[Blob] {
	return func(yield func(Blob) bool) {
		seen := make(map[Hash]struct{}, len(m.sizes))
		for i := range m.sizes {
			b := Blob{m, i}
			h := b.SHA256()
			if _, ok := seen[h]; ok {
				continue
			}
			seen[h] = struct{}{}
			if !yield(b) {
				return
			}
		}
	}
}

// TotalSize returns the bytes of all files, without their variants.
func (m *Manifest) TotalSize() (bytes int64) {
	for _, s := range m.sizes[:m.Len()] {
		bytes += int64(s)
	}
	return bytes
}

// MemorySize returns about how many bytes the manifest holds in memory.
func (m *Manifest) MemorySize() int64 {
	n := len(m.paths) + 4*len(m.pathEnds) + 2*len(m.typeOf) + len(m.flags) + 4*len(m.variant) +
		len(m.hashes) + 4*len(m.sizes) + 4*len(m.chunked) + 4*len(m.chunkAt) + len(m.chunks) + m.hints.memory() + m.copied
	return int64(n) + 4096
}

// File is one file of a manifest.
type File struct {
	m *Manifest
	i int
}

// Index returns the file's position in the order of paths.
func (f File) Index() int { return f.i }

// Path returns the file's decoded URL path.
func (f File) Path() string { return f.m.path(f.i) }

// ContentType returns the value of the Content-Type header.
func (f File) ContentType() string { return f.m.types[f.m.typeOf[f.i]] }

// Immutable reports whether the bytes at this path never change.
func (f File) Immutable() bool { return f.m.flags[f.i]&flagImmutable != 0 }

// Hints returns the links that a browser may be told of before the page, as
// values of Link; none where the deployment sends no early hints.
func (f File) Hints() []string {
	t := &f.m.hints
	at, ok := slices.BinarySearch(t.files, uint32(f.i))
	if !ok {
		return nil
	}
	first := uint32(0)
	if at > 0 {
		first = t.last[at-1]
	}
	hints := make([]string, 0, t.last[at]-first)
	for _, link := range t.links[first:t.last[at]] {
		start := uint32(0)
		if link > 0 {
			start = t.ends[link-1]
		}
		hints = append(hints, strings.Clone(t.text[start:t.ends[link]])) // not to hold the manifest
	}
	return hints
}

// HasVariants reports whether the file is stored in a compressed encoding too.
func (f File) HasVariants() bool { return f.m.flags[f.i]&flagVariants != 0 }

// Has reports whether the file is stored in that encoding.
func (f File) Has(e Encoding) bool { return e == Identity || f.m.flags[f.i]&(1<<e) != 0 }

// Blob returns the file's bytes in an encoding that it [File.Has].
func (f File) Blob(e Encoding) Blob {
	if e == Identity {
		return Blob(f)
	}
	at := f.m.variant[f.i]
	for v := range e {
		if f.m.flags[f.i]&(1<<v) != 0 {
			at++
		}
	}
	return Blob{f.m, int(at)}
}

// Entry returns the file as it was given to [NewManifest].
func (f File) Entry() FileEntry {
	e := FileEntry{Path: f.Path(), ContentType: f.ContentType(), Immutable: f.Immutable(), Body: f.Blob(Identity).Entry(), Hints: f.Hints()}
	for _, enc := range Variants {
		if f.Has(enc) {
			b := f.Blob(enc).Entry()
			e.Variants[enc] = &b
		}
	}
	return e
}

// Blob is the content of one file in one encoding.
type Blob struct {
	m *Manifest
	i int
}

// SHA256 returns the hash of the blob's bytes.
func (b Blob) SHA256() Hash { return Hash(b.m.hashes[b.i*HashSize:]) }

// Size returns the blob's length in bytes.
func (b Blob) Size() int64 { return int64(b.m.sizes[b.i]) }

// ChunkCount returns how many chunks the blob has: at least one, but for an
// empty blob, which has none.
func (b Blob) ChunkCount() int { return int((b.Size() + ChunkSize - 1) / ChunkSize) }

// Chunk returns the hash of the n-th chunk's bytes.
func (b Blob) Chunk(n int) Hash {
	if b.Size() <= ChunkSize {
		return b.SHA256()
	}
	at, _ := slices.BinarySearch(b.m.chunked, uint32(b.i))
	return Hash(b.m.chunks[(int(b.m.chunkAt[at])+n)*HashSize:])
}

// Entry returns the blob as it was given to [NewManifest].
func (b Blob) Entry() BlobEntry {
	e := BlobEntry{SHA256: b.SHA256(), Size: b.Size()}
	for n := range chunkCount(e.Size) {
		e.Chunks = append(e.Chunks, b.Chunk(n))
	}
	return e
}

var errManifest = errors.New("not a manifest of this version")
