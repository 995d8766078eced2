package site

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/klauspost/compress/zstd"
)

// ManifestMagic is what an encoded manifest begins with; the last byte is the
// version of the encoding.
const ManifestMagic = "MVM\x01"

// rulesMagic is what a manifest with rules begins with. One without them is
// still written in the first version, which older edges read too.
const rulesMagic = "MVM\x02"

// hintsMagic is what a manifest with early hints begins with, for the same
// reason.
const hintsMagic = "MVM\x03"

// ManifestContentType is the media type of an encoded manifest.
const ManifestContentType = "application/vnd.mini-vercel.manifest"

// MaxManifestSize is the most that an encoded manifest may have, in bytes.
const MaxManifestSize = 64 << 20

const (
	maxDecodedManifest = 256 << 20
	freeDecodedSize    = 4 << 20 // what any frame may unpack to
	maxRatio           = 512     // bytes that a byte of a larger frame may unpack to
	maxManifestFiles   = 4 << 20
	maxBlobSize        = math.MaxUint32
	maxTypes           = math.MaxUint16
	// maxTypesSize bounds their JSON, of which three bytes take sixteen of memory.
	maxTypesSize     = (maxTypes + 1) * (MaxContentTypeLength + 3)
	maxMetaSize      = 16 << 20
	headerWords      = 7
	rulesHeaderWords = 8
	hintsHeaderWords = 9
	decoderSpare     = 64
)

// compress and decompress make a codec for every call: one that is kept holds on
// to the buffers that it saw last.

func compress(magic string, b []byte) ([]byte, error) {
	// A single segment, so that small frames say their size too.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.EncodeAll(b, []byte(magic)), nil
}

// decompress unpacks a frame to at most size bytes.
func decompress(frame []byte, size uint64) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecodedManifest), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	// It writes no more than the capacity, and is faster with bytes to spare.
	return d.DecodeAll(frame, make([]byte, 0, size+decoderSpare))
}

// Encode writes the manifest in its compact encoding: the magic, and a zstd
// frame that holds seven little-endian 32-bit counts (files, blobs, chunked
// blobs, chunks, bytes of paths, bytes of types, bytes of meta), followed by
// the columns in the order in which [Manifest] declares them, numbers in 32
// bits (types in 16), and the meta data as JSON. The second version has an eighth
// count, bytes of rules, and behind the meta data the rules; the third a ninth,
// bytes of early hints, and these at the end: of rules it may have none.
func (m *Manifest) Encode() ([]byte, error) {
	meta, err := json.Marshal(m.Meta)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	types, err := json.Marshal(m.types)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	magic, rules, hints := ManifestMagic, m.appendRules(nil), m.appendHints(nil)
	b := make([]byte, 0, int(m.MemorySize())+len(meta)+len(types)+len(rules)+len(hints))
	for _, n := range [headerWords]int{m.Len(), len(m.sizes), len(m.chunked), len(m.chunks) / HashSize, len(m.paths), len(types), len(meta)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	if rules != nil || hints != nil {
		magic = rulesMagic
		b = binary.LittleEndian.AppendUint32(b, uint32(len(rules)))
	}
	if hints != nil {
		magic = hintsMagic
		b = binary.LittleEndian.AppendUint32(b, uint32(len(hints)))
	}
	b = append(b, m.paths...)
	b = appendUint32s(b, lengths(m.pathEnds))
	b = append(b, types...)
	for _, t := range m.typeOf {
		b = binary.LittleEndian.AppendUint16(b, t)
	}
	b = append(b, m.flags...)
	b = append(b, m.hashes...)
	b = appendUint32s(b, m.sizes)
	b = appendUint32s(b, m.chunked)
	b = append(b, m.chunks...)
	b = append(b, meta...)
	b = append(b, rules...)
	b = append(b, hints...)
	encoded, err := compress(magic, b)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return encoded, nil
}

// DecodeManifest reads what [Manifest.Encode] wrote and checks all of it: no
// input makes a later method of the manifest fail.
func DecodeManifest(encoded []byte) (*Manifest, error) {
	if len(encoded) > MaxManifestSize {
		return nil, fmt.Errorf("manifest: %d bytes are more than the %d that are allowed", len(encoded), MaxManifestSize)
	}
	words := headerWords
	switch {
	case len(encoded) < len(ManifestMagic):
		return nil, fmt.Errorf("manifest: %w", errManifest)
	case string(encoded[:len(ManifestMagic)]) == rulesMagic:
		words = rulesHeaderWords
	case string(encoded[:len(ManifestMagic)]) == hintsMagic:
		words = hintsHeaderWords
	case string(encoded[:len(ManifestMagic)]) != ManifestMagic:
		return nil, fmt.Errorf("manifest: %w", errManifest)
	}
	frame := encoded[len(ManifestMagic):]
	var header zstd.Header
	if err := header.Decode(frame); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	claim := header.FrameContentSize
	if !header.HasFCS || claim > maxDecodedManifest {
		return nil, fmt.Errorf("manifest: the frame does not say its size, or it is over %d bytes", maxDecodedManifest)
	}
	// A few bytes could unpack to all that is allowed; hashes hardly compress.
	if claim > freeDecodedSize && claim > uint64(len(frame))*maxRatio {
		return nil, fmt.Errorf("manifest: %d bytes that unpack to %d are not believed", len(frame), claim)
	}
	b, err := decompress(frame, claim)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	m, err := parseManifest(b, words)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

func parseManifest(b []byte, words int) (*Manifest, error) {
	r := columnReader{rest: b}
	var n [hintsHeaderWords]int
	for i, w := range r.uint32s(words) {
		n[i] = int(w)
	}
	files, blobs, chunked, chunks := n[0], n[1], n[2], n[3]
	if files > maxManifestFiles || blobs < files || blobs > files*(1+len(Variants)) || chunked > blobs || n[5] > maxTypesSize || n[6] > maxMetaSize {
		return nil, errManifest
	}
	m := &Manifest{}
	m.paths = unsafeString(r.take(n[4]))
	m.pathEnds = r.uint32s(files)
	types := r.take(n[5])
	m.typeOf = r.uint16s(files)
	m.flags = r.take(files)
	m.hashes = r.take(blobs * HashSize)
	m.sizes = r.uint32s(blobs)
	m.chunked = r.uint32s(chunked)
	m.chunks = r.take(chunks * HashSize)
	meta := r.take(n[6])
	rules := r.take(n[7])
	hints := r.take(n[8])
	if r.short || len(r.rest) != 0 {
		return nil, errManifest
	}
	// The buffer stays as long as a column aliases it.
	m.copied = 4*files + 2*files + 4*blobs + 4*chunked + len(types) + 2*len(meta) + len(rules)
	if err := json.Unmarshal(types, &m.types); err != nil {
		return nil, fmt.Errorf("types: %w", err)
	}
	if len(m.types) > maxTypes+1 {
		return nil, errManifest
	}
	if err := json.Unmarshal(meta, &m.Meta); err != nil {
		return nil, fmt.Errorf("meta: %w", err)
	}
	if words == rulesHeaderWords || len(rules) > 0 {
		if err := m.parseRules(rules); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
	}
	if words == hintsHeaderWords {
		if err := m.parseHints(hints); err != nil {
			return nil, fmt.Errorf("early hints: %w", err)
		}
	}
	return m, m.index()
}

// index turns lengths into ends, places variants and chunks, and checks that
// everything points to what is there.
func (m *Manifest) index() error {
	end := uint64(0)
	for i, n := range m.pathEnds {
		end += uint64(n)
		if end > uint64(len(m.paths)) {
			return errManifest
		}
		m.pathEnds[i] = uint32(end)
	}
	if end != uint64(len(m.paths)) {
		return errManifest
	}
	for _, t := range m.types {
		if err := CheckContentType(t); err != nil {
			return err
		}
	}
	m.variant = make([]uint32, m.Len())
	at := m.Len()
	for i, f := range m.flags {
		if f&^(flagImmutable|flagVariants) != 0 || int(m.typeOf[i]) >= len(m.types) {
			return errManifest
		}
		m.variant[i] = uint32(at)
		for e := range Variants {
			at += int(f >> e & 1)
		}
	}
	if at != len(m.sizes) {
		return errManifest
	}
	m.chunkAt = make([]uint32, len(m.chunked))
	next, first := 0, 0
	for i, size := range m.sizes {
		count := chunkCount(int64(size))
		if count == 0 {
			continue
		}
		if next == len(m.chunked) || m.chunked[next] != uint32(i) {
			return errManifest
		}
		m.chunkAt[next] = uint32(first)
		next++
		first += count
	}
	if next != len(m.chunked) || first != len(m.chunks)/HashSize {
		return errManifest
	}
	for i := range m.Len() {
		if err := CheckPath(m.path(i)); err != nil {
			return err
		}
		if i > 0 && m.path(i-1) >= m.path(i) {
			return fmt.Errorf("paths are not sorted at %q", m.path(i))
		}
	}
	return nil
}

// columnReader cuts columns from a buffer and remembers whether one was short.
type columnReader struct {
	rest  []byte
	short bool
}

func (r *columnReader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.short = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *columnReader) uint32s(n int) []uint32 {
	b := r.take(4 * n)
	out := make([]uint32, len(b)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out
}

func (r *columnReader) uint16s(n int) []uint16 {
	b := r.take(2 * n)
	out := make([]uint16, len(b)/2)
	for i := range out {
		out[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return out
}

func appendUint32s(b []byte, column []uint32) []byte {
	for _, n := range column {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// lengths turns ends into lengths, which compress better.
func lengths(ends []uint32) []uint32 {
	out := slices.Clone(ends)
	for i := len(out) - 1; i > 0; i-- {
		out[i] -= out[i-1]
	}
	return out
}

// unsafeString looks at b as a string; b is never written again.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
