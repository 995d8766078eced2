package transcript

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
)

// leastMasked is the shortest value that is masked, in bytes. Shorter ones,
// such as "1" or "yes", are no secrets, and masking them would make a log
// unreadable.
const leastMasked = 4

// leastEncoded is the shortest value whose base64 and hexadecimal forms are
// masked, too: those of shorter ones turn up by chance.
const leastEncoded = 6

// Mask is what stands in a log in a secret's place.
const Mask = "[secret]"

// Masker replaces the values of secrets. A value of several lines is masked
// line by line, because a log is made of lines. A nil Masker masks nothing.
type Masker struct {
	patterns map[uint32][]string // by their first four bytes
	filter   [1 << 16]bool       // by a hash of these: most of a log passes with one look
	longest  int
}

// NewMasker makes a masker of the given values, as they are and in the forms
// in which programs print them: quoted in JSON, escaped in a URL, in base64 (on
// its own or inside of something longer) and in hexadecimal digits.
func NewMasker(secrets []string) *Masker {
	m := &Masker{patterns: map[uint32][]string{}}
	for _, secret := range secrets {
		for line := range strings.FieldsFuncSeq(secret, func(r rune) bool { return r == '\n' || r == '\r' }) {
			m.add(strings.Trim(line, " \t"))
		}
		m.addEncoded(strings.TrimSpace(secret))
		m.addEncoded(secret)
	}
	if m.longest == 0 {
		return nil
	}
	return m
}

func (m *Masker) add(pattern string) {
	for _, p := range []string{pattern, clean(pattern)} {
		if len(p) < leastMasked {
			continue
		}
		key := prefix(p, 0)
		known := false
		for _, other := range m.patterns[key] {
			known = known || other == p
		}
		if !known {
			m.patterns[key] = append(m.patterns[key], p)
			m.filter[spread(key)] = true
			m.longest = max(m.longest, len(p))
		}
	}
}

func (m *Masker) addEncoded(secret string) {
	if len(secret) < leastMasked {
		return
	}
	m.add(url.QueryEscape(secret))
	m.add(url.PathEscape(secret))
	if quoted, err := json.Marshal(secret); err == nil {
		m.add(strings.Trim(string(quoted), `"`))
	}
	if len(secret) < leastEncoded {
		return
	}
	m.add(hex.EncodeToString([]byte(secret)))
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		m.add(encoding.EncodeToString([]byte(secret)))
		for shift := range 3 {
			// What does not depend on the neighbours: "user:secret" holds it.
			whole := encoding.EncodeToString(append(make([]byte, shift), secret...))
			from := (shift*8 + 5) / 6
			to := (shift + len(secret)) * 8 / 6
			if to-from >= 8 {
				m.add(whole[from:to])
			}
		}
	}
}

// Longest is the length of the longest text that is masked, in bytes: whoever
// cuts a line masks this much more than is kept.
func (m *Masker) Longest() int {
	if m == nil {
		return 0
	}
	return m.longest
}

// Apply returns the text with every secret in it replaced.
func (m *Masker) Apply(text string) string { return m.applyTo(text, len(text)) }

// applyTo returns text[:end] with every secret replaced that begins there,
// those that reach past end included.
func (m *Masker) applyTo(text string, end int) string {
	if m == nil || len(text) < leastMasked {
		return text[:end]
	}
	var out strings.Builder
	kept := 0           // text[:kept] is written
	from, to := -1, -1  // the secret that is under way, with those that overlap it
	window := uint32(0) // the four bytes at i
	for i := 0; i < 3; i++ {
		window = window<<8 | uint32(text[i])
	}
	for i := 0; i < end && i+leastMasked <= len(text); i++ {
		window = window<<8 | uint32(text[i+3])
		if !m.filter[spread(window)] {
			continue
		}
		for _, p := range m.patterns[window] {
			if !strings.HasPrefix(text[i:], p) {
				continue
			}
			if i > to { // also where they touch, one mask stands for both
				if from >= 0 {
					out.WriteString(text[kept:from])
					out.WriteString(Mask)
					kept = to
				}
				from = i
			}
			to = max(to, i+len(p))
		}
	}
	if from < 0 {
		return text[:end]
	}
	out.WriteString(text[kept:from])
	out.WriteString(Mask)
	out.WriteString(text[min(to, end):end])
	return out.String()
}

func prefix(s string, at int) uint32 {
	return uint32(s[at])<<24 | uint32(s[at+1])<<16 | uint32(s[at+2])<<8 | uint32(s[at+3])
}

func spread(window uint32) uint16 { return uint16(window * 2654435769 >> 16) }
