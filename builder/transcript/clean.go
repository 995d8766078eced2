package transcript

import (
	"strings"
	"unicode/utf8"
)

const escape = 0x1b

// longestColour bounds a colour sequence: a longer one is no colour.
const longestColour = 64

// clean makes text harmless for a terminal and a page: what is not UTF-8 and
// control characters become U+FFFD, terminal sequences go, colours (ECMA-48,
// "select graphic rendition") and tabs stay. So do marks of right-to-left text,
// but not the overrides that let a line read as something else.
func clean(text string) string {
	if harmless(text) {
		return text
	}
	var out strings.Builder
	out.Grow(len(text))
	for i := 0; i < len(text); {
		if text[i] == escape || text[i] == 0xc2 && i+1 < len(text) && text[i+1] == 0x9b {
			length, colour := sequence(text[i:])
			if colour {
				out.WriteString(text[i : i+length])
			}
			i += length
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if forbidden(r) {
			r = utf8.RuneError
		}
		out.WriteRune(r)
		i += size
	}
	return out.String()
}

func harmless(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return plain(text[i:])
		}
	}
	return true
}

func plain(text string) bool {
	for i, r := range text {
		if forbidden(r) {
			return false
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size < 2 {
				return false
			}
		}
	}
	return true
}

func forbidden(r rune) bool {
	switch {
	case r < ' ':
		return r != '\t'
	case r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x2028 || r == 0x2029: // line breaks to a page
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// sequence returns the length of the terminal sequence that text begins with,
// and whether it is a colour. One that does not end is its introducer alone, so
// that it can't swallow the rest of the line.
func sequence(text string) (length int, colour bool) {
	if text[0] != escape { // the one-character form of ESC [
		n, _ := control(text, 2)
		return n, false // browsers and terminals differ on it
	}
	if len(text) == 1 {
		return 1, false
	}
	switch c := text[1]; {
	case c == '[':
		return control(text, 2)
	case c == ']', c == 'P', c == 'X', c == '^', c == '_': // a string, up to BEL or ESC \
		for i := 2; i < len(text); i++ {
			if text[i] == 0x07 {
				return i + 1, false
			}
			if text[i] == escape {
				if i+1 < len(text) && text[i+1] == '\\' {
					return i + 2, false
				}
				return 2, false
			}
		}
		return 2, false
	case c >= 0x20 && c <= 0x2f && len(text) > 2 && text[2] >= 0x30 && text[2] < 0x7f: // a character set
		return 3, false
	case c >= 0x30 && c < 0x7f:
		return 2, false
	}
	return 1, false
}

// control reads parameters and the final byte of a control sequence whose
// parameters begin at from.
func control(text string, from int) (length int, colour bool) {
	digits := true
	for i := from; i < len(text); i++ {
		switch c := text[i]; {
		case c >= '0' && c <= ';': // digits, colon, semicolon
		case c >= 0x20 && c <= 0x3f:
			digits = false
		case c >= 0x40 && c <= 0x7e:
			return i + 1, c == 'm' && digits && i < longestColour
		default:
			return i, false
		}
	}
	return len(text), false
}
