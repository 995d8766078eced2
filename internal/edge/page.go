package edge

import (
	"strconv"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Field is one header field, ready to be put into a net/http header map: the
// name in canonical form, the value shared by all answers that have it.
type Field struct {
	Name  string
	Value []string
}

// one is a field's value. Its capacity is its length: whoever appends to it
// makes a copy.
func one(value string) []string { return []string{value} }

// Values that many answers share.
var (
	valueRevalidate = one(site.CacheRevalidate)
	valueImmutable  = one(site.CacheImmutable)
	valueNoStore    = one(site.CacheNever)
	valuePrivate    = one(site.CachePrivate)
	valueNosniff    = one("nosniff")
	valueVary       = one("Accept-Encoding")
	valueBytes      = one("bytes")
	valueNoindex    = one("noindex")
	valueEncoding   = [...][]string{one("br"), one("zstd"), one("gzip"), nil}
	valueTiming     = [...][]string{one("edge;desc=memory"), one("edge;desc=disk"), one("edge;desc=origin"), one("edge;desc=stale"), nil, nil}
)

// page is one file of a deployment, ready to be served. It does not hold on to
// the manifest.
type page struct {
	project     string
	salt        [16]byte
	contentType string
	immutable   bool
	vary        bool
	variants    [site.Identity + 1]*variant // by encoding; nil where the file is not stored in it
	ownTiming   bool                        // a rule of the site's sets or removes Server-Timing
	hints       []string                    // values of Link that go before a page; nil: none do
	edits       int64                       // about how many bytes the site's own headers take

	// hosts holds the page itself where rules tell hosts apart: this one is
	// nothing but their holder.
	hosts *hostPages
}

// variant is a page in one encoding: a representation, in the words of RFC 9110.
type variant struct {
	blob        site.BlobEntry
	encoding    site.Encoding
	etag        string  // in quotes
	ok          []Field // of 200 OK
	notModified []Field // of 304 Not Modified
	// chunk is the first chunk's key, by which a hot page finds its bytes.
	chunk chunkKey
}

func newPage(p *project, f site.File) *page {
	g := &page{project: p.id, salt: p.salt, contentType: f.ContentType(), immutable: f.Immutable(), vary: f.HasVariants(), hints: f.Hints()}
	for e := range g.variants {
		if enc := site.Encoding(e); f.Has(enc) {
			g.variants[e] = g.newVariant(enc, f.Blob(enc).Entry())
		}
	}
	return g
}

func (g *page) newVariant(enc site.Encoding, entry site.BlobEntry) *variant {
	v := &variant{blob: entry, encoding: enc, etag: `"` + entry.SHA256.String() + `"`}
	v.chunk = v.chunkKey(g, 0)
	caching := valueRevalidate
	if g.immutable {
		caching = valueImmutable
	}
	etag := one(v.etag)
	v.ok = append(make([]Field, 0, 8), g.entity(v)...)
	v.ok = append(v.ok, Field{"Etag", etag}, Field{"Accept-Ranges", valueBytes}, Field{"Cache-Control", caching})
	v.notModified = []Field{{"Etag", etag}, {"Cache-Control", caching}}
	if g.vary {
		v.notModified = append(v.notModified, Field{"Vary", valueVary})
	}
	return v
}

// entity returns the fields that describe the bytes of a variant, whatever the
// status.
func (g *page) entity(v *variant) []Field {
	fields := []Field{
		{"Content-Type", one(g.contentType)},
		{"Content-Length", one(strconv.FormatInt(v.blob.Size, 10))},
		{"X-Content-Type-Options", valueNosniff},
	}
	if g.vary {
		fields = append(fields, Field{"Vary", valueVary})
	}
	if v.encoding != site.Identity {
		fields = append(fields, Field{"Content-Encoding", valueEncoding[v.encoding]})
	}
	return fields
}

func (g *page) has(e site.Encoding) bool { return g.variants[e] != nil }

// chunkKey returns the key of a variant's n-th chunk.
func (v *variant) chunkKey(g *page, n int) chunkKey {
	if len(v.blob.Chunks) == 0 {
		return chunkKey{g.salt, v.blob.SHA256}
	}
	return chunkKey{g.salt, v.blob.Chunks[n]}
}

// chunkAt returns in which chunk a byte is.
func (v *variant) chunkAt(offset int64) int { return int(offset / site.ChunkSize) }

// span returns where the n-th chunk's bytes are in the bucket.
func (v *variant) span(g *page, n int) span {
	offset := int64(n) * site.ChunkSize
	return span{g.project, v.blob.SHA256, offset, min(v.blob.Size-offset, site.ChunkSize)}
}

// cost is about how many bytes the page takes in memory.
func (g *page) cost() int64 {
	const perPage, perVariant = 512, 1024
	cost := int64(perPage) + g.edits
	for _, link := range g.hints {
		cost += int64(len(link)) + 16
	}
	for _, v := range g.variants {
		if v != nil {
			cost += perVariant + int64(len(v.blob.Chunks))*site.HashSize
		}
	}
	return cost
}
