package site

import (
	"errors"
	"fmt"
	"strings"
)

// part is a piece of a rule's text that stands for itself; a placeholder may
// follow it.
type part struct {
	start, end  uint16
	placeholder uint16 // the number of the placeholder that follows; endPart: none does
}

// MaxPlaceholders is how many "*" and ":name" one rule may have.
const MaxPlaceholders = 32

// endPart marks the last part of a text.
const endPart = 1<<16 - 1

// pattern is what a path, or a host, is compared with: text in which "*" stands
// for anything, once, and ":name" for one or more characters other than the
// separator. Both take as much as they can, the ones further left first: it is
// the regular expression in which * is (.*) and :name is ([^/]+).
type pattern struct {
	text  string
	parts []part
}

// template is a text into which what the placeholders of a pattern stand for is
// put.
type template struct {
	text  string
	parts []part
}

func (p *pattern) literal(i int) string { return p.text[p.parts[i].start:p.parts[i].end] }

// static reports whether only one text matches.
func (p *pattern) static() bool { return len(p.parts) == 1 }

// splat returns the number, within the pattern, of the placeholder that is a
// "*", or -1.
func (p *pattern) splat() int {
	for i := range len(p.parts) - 1 {
		if p.text[p.parts[i].end] == '*' {
			return i
		}
	}
	return -1
}

// splatName is what a template calls the "*" of its pattern.
const splatName = "splat"

// newPattern reads a pattern. names are those of placeholders that were read
// before; the new ones are appended.
func newPattern(text string, names []string) (pattern, []string, error) {
	p := pattern{text: text}
	at, splats := 0, 0
	for {
		start, end := nextPlaceholder(text, at, true)
		if start == len(text) {
			p.parts = append(p.parts, part{uint16(at), uint16(start), endPart})
			return p, names, nil
		}
		name := splatName
		if text[start] == '*' {
			splats++
		} else {
			name = text[start+1 : end]
		}
		for _, other := range names {
			switch {
			case other == name && name == splatName && splats > 0:
				return p, nil, errors.New("has more than one *")
			case other == name:
				return p, nil, fmt.Errorf("names :%s twice", name)
			}
		}
		if len(names) == MaxPlaceholders {
			return p, nil, fmt.Errorf("has more than %d placeholders", MaxPlaceholders)
		}
		p.parts = append(p.parts, part{uint16(at), uint16(start), uint16(len(names))})
		names = append(names, name)
		at = end
	}
}

// newTemplate reads a template. What looks like a placeholder and is none of
// names stays as it is.
func newTemplate(text string, names []string) template {
	t := template{text: text}
	at, from := 0, 0
	for {
		start, end := nextPlaceholder(text, from, false)
		if start == len(text) {
			t.parts = append(t.parts, part{uint16(at), uint16(start), endPart})
			return t
		}
		from = end
		for i, name := range names {
			if name == text[start+1:end] {
				t.parts = append(t.parts, part{uint16(at), uint16(start), uint16(i)})
				at = end
				break
			}
		}
	}
}

// nextPlaceholder finds the first placeholder in s from at on. Where there is
// none, it stands at the end.
func nextPlaceholder(s string, at int, splat bool) (start, end int) {
	for i := at; i < len(s); i++ {
		switch {
		case s[i] == '*' && splat:
			return i, i + 1
		case s[i] == ':' && i+1 < len(s) && letter(s[i+1]):
			end = i + 2
			for end < len(s) && (letter(s[end]) || s[end] >= '0' && s[end] <= '9' || s[end] == '_') {
				end++
			}
			return i, end
		}
	}
	return len(s), len(s)
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// constant reports whether nothing is put into the template.
func (t *template) constant() bool { return len(t.parts) == 1 }

// appendTo appends the text to b, with what the placeholders stand for.
func (t *template) appendTo(b []byte, captures []string) []byte {
	for _, p := range t.parts {
		b = append(b, t.text[p.start:p.end]...)
		if p.placeholder != endPart {
			b = appendEncoded(b, captures[p.placeholder])
		}
	}
	return b
}

// filled is how many bytes the text has with what the placeholders stand for,
// before anything is encoded.
func (t *template) filled(captures []string) (n int) {
	for _, p := range t.parts {
		n += int(p.end - p.start)
		if p.placeholder != endPart {
			n += len(captures[p.placeholder])
		}
	}
	return n
}

// appendEncoded appends a piece of a path as it was sent, so that its encoding
// stays; what no URL has is encoded. A backslash is among it: browsers take it
// for a slash.
func appendEncoded(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte(unsafeInURL, c) >= 0 {
			b = append(b, '%', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// unsafeInURL are characters of ASCII that a path never has unencoded.
const unsafeInURL = "\"#<>\\^`{|}"

// matcher compares texts with patterns and keeps what the placeholders stood
// for. It takes steps in proportion to the lengths of text and pattern, and
// never goes back.
type matcher struct {
	captures [MaxPlaceholders]string // no slice, which would live on the heap
	count    int
	steps    int // bytes looked at
}

// match compares s with a pattern in which sep separates names. What its
// placeholders stand for is added to the captures.
func (m *matcher) match(p *pattern, s string, sep byte) bool {
	if !strings.HasPrefix(s, p.literal(0)) {
		return false // most patterns end here
	}
	last := len(p.parts) - 1
	f := fit{m, p, m.count, sep}
	m.count += last
	splat := p.splat()
	if splat < 0 {
		_, ok := f.fromRight(0, last, p.literal(0), p.literal(last), s, true)
		return ok
	}
	// Before the splat: up to the last separator, that part of s has as many
	// separators as the pattern has there, as no name holds one.
	head, cut := splat, -1
	for ; head >= 0; head-- {
		if cut = strings.LastIndexByte(p.literal(head), sep); cut >= 0 {
			break
		}
	}
	a := 0
	if head >= 0 {
		for i := range head + 1 {
			text := p.literal(i)
			if i == head {
				text = text[:cut+1]
			}
			for n := strings.Count(text, string(sep)); n > 0; n-- {
				at := strings.IndexByte(s[a:], sep)
				if at < 0 {
					return false
				}
				a += at + 1
			}
		}
		m.steps += a
		first, end := p.literal(0), p.literal(head)[:cut+1]
		if head == 0 {
			first = end
		}
		if _, ok := f.fromRight(0, head, first, end, s[:a], true); !ok {
			return false
		}
	}
	// Behind the splat: as far right as can be, for the splat to be long.
	b, ok := f.fromRight(splat+1, last, p.literal(splat+1), p.literal(last), s[a:], false)
	if !ok {
		return false
	}
	b += a
	// Between that last separator and the splat: as far right as can be too,
	// but within one segment.
	head = max(head, 0)
	first := p.literal(head)[cut+1:]
	if head == splat {
		if !strings.HasPrefix(s[a:b], first) {
			return false
		}
		a += len(first)
	} else {
		window := s[a:b]
		if end := strings.IndexByte(window, sep); end >= 0 {
			window = window[:end]
		}
		m.steps += len(window)
		end := strings.LastIndex(window, p.literal(splat))
		if end < 0 {
			return false
		}
		end += len(p.literal(splat))
		if _, ok := f.fromRight(head, splat, first, p.literal(splat), window[:end], true); !ok {
			return false
		}
		a += end
	}
	m.captures[f.base+splat] = s[a:b]
	return true
}

// fit is one comparison of a matcher.
type fit struct {
	m    *matcher
	p    *pattern
	base int // where its captures begin
	sep  byte
}

// fromRight finds the literals i to j, with names between them, at the end of
// s; with exact, s has nothing else. first and last are the texts of i and j.
// Each literal is taken where it stands furthest to the right: that leaves the
// names on its left the most, which is what they are to have, and if it fits
// anywhere it fits there. (A literal with a separator in it fits in one place
// at most, as the name behind it holds none; one without can move to the right
// within its segment.) It returns where the literals begin.
func (f *fit) fromRight(i, j int, first, last, s string, exact bool) (start int, ok bool) {
	f.m.steps += len(last)
	if i == j && exact {
		return 0, s == last
	}
	if !strings.HasSuffix(s, last) {
		return 0, false
	}
	end := len(s) - len(last)
	for n := j - 1; n >= i; n-- {
		literal := f.p.literal(n)
		if n == i {
			literal = first
		}
		at := 0
		if n == i && exact {
			if len(s) < len(literal) || s[:len(literal)] != literal {
				return 0, false
			}
		} else {
			if end == 0 {
				return 0, false
			}
			at = strings.LastIndex(s[:end-1], literal)
		}
		name := at + len(literal)
		if at < 0 || name >= end {
			f.m.steps += end
			return 0, false
		}
		f.m.steps += len(literal) + end - name
		if strings.IndexByte(s[name:end], f.sep) >= 0 {
			return 0, false
		}
		f.m.captures[f.base+n] = s[name:end]
		end = at
	}
	return end, true
}
