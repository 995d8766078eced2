package site

import (
	"encoding/binary"
	"errors"
)

// The early hints of a manifest, encoded: four little-endian 32-bit counts
// (links, files that have some, their links together, bytes of text), then
// columns: lengths of the links in 16 bits, files in 32, how many links each has
// in 8, and which in 32; then the texts, one after the other.
const hintWords = 4

var errHints = errors.New("they are damaged")

// appendHints appends the encoded hints, or nothing where there are none.
func (m *Manifest) appendHints(b []byte) []byte {
	t := &m.hints
	if len(t.files) == 0 {
		return b
	}
	for _, n := range [hintWords]int{len(t.ends), len(t.files), len(t.links), len(t.text)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	for _, n := range lengths(t.ends) {
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
	}
	b = appendUint32s(b, t.files)
	for _, n := range lengths(t.last) {
		b = append(b, byte(n))
	}
	b = appendUint32s(b, t.links)
	return append(b, t.text...)
}

// parseHints reads what appendHints wrote and checks it: nothing that is no link
// of the same site becomes a header.
func (m *Manifest) parseHints(b []byte) error {
	c := columnReader{rest: b}
	var n [hintWords]int
	for i, w := range c.uint32s(hintWords) {
		n[i] = int(w)
	}
	if c.short || n[0] == 0 || n[1] == 0 || n[1] > m.Len() || n[2] > n[1]*MaxHints {
		return errHints
	}
	t := &m.hints
	sizes := c.uint16s(n[0])
	t.files = c.uint32s(n[1])
	counts := c.take(n[1])
	t.links = c.uint32s(n[2])
	t.text = unsafeString(c.take(n[3]))
	if c.short || len(c.rest) != 0 {
		return errHints
	}
	t.ends, t.last = make([]uint32, n[0]), make([]uint32, n[1])
	end := uint32(0)
	for i, size := range sizes {
		start := end
		if end += uint32(size); int(end) > len(t.text) {
			return errHints
		}
		if err := CheckHint(t.text[start:end]); err != nil {
			return err
		}
		t.ends[i] = end
	}
	if int(end) != len(t.text) {
		return errHints
	}
	for _, link := range t.links {
		if int(link) >= n[0] {
			return errHints
		}
	}
	end = 0
	for i, count := range counts {
		if count == 0 || count > MaxHints || int(t.files[i]) >= m.Len() || i > 0 && t.files[i-1] >= t.files[i] {
			return errHints
		}
		end += uint32(count)
		t.last[i] = end
	}
	if int(end) != n[2] {
		return errHints
	}
	m.copied += t.memory() - len(t.text)
	return nil
}
