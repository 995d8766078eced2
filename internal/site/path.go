package site

import (
	"errors"
	"strings"
)

// MaxTargetLength is the longest path that an edge looks at, in bytes as sent.
const MaxTargetLength = 8 << 10

// ErrPath says that a path can't be meant: it is too long, not well encoded, or
// has a control character. It is answered 400 Bad Request.
var ErrPath = errors.New("malformed path")

// DecodePath turns the path of a request, as sent and without the query, into
// the form in which manifests hold paths: every segment is percent-decoded
// once, and runs of slashes are one. "%2F" becomes a slash, "." and ".." stay
// what they are: no file has such a segment. It allocates only where something
// changes.
func DecodePath(raw string) (string, error) {
	if len(raw) > MaxTargetLength || raw == "" || raw[0] != '/' {
		return "", ErrPath
	}
	plain := true
	for i := range len(raw) {
		switch c := raw[i]; {
		case c < 0x20 || c == 0x7f:
			return "", ErrPath
		case c == '%', c == '/' && i > 0 && raw[i-1] == '/':
			plain = false
		}
	}
	if plain {
		return raw, nil
	}
	path := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", ErrPath
			}
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
			if c < 0x20 || c == 0x7f {
				return "", ErrPath
			}
		}
		if c == '/' && len(path) > 0 && path[len(path)-1] == '/' {
			continue
		}
		path = append(path, c)
	}
	return string(path), nil
}

// CanonicalPath is the one form in which the URL of a decoded path is written:
// every segment percent-encoded as JavaScript's encodeURIComponent does. It
// never begins with two slashes, nor with a slash and a backslash. It allocates
// only where something is encoded.
func CanonicalPath(path string) string {
	extra := 0
	for i := range len(path) {
		if !unreserved(path[i]) {
			extra += 2
		}
	}
	if extra == 0 {
		return path
	}
	var b strings.Builder
	b.Grow(len(path) + extra)
	for i := range len(path) {
		c := path[i]
		if unreserved(c) {
			b.WriteByte(c)
			continue
		}
		const digits = "0123456789ABCDEF"
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// unreserved reports whether encodeURIComponent leaves c alone; the slash is
// what separates the segments.
func unreserved(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	switch c {
	case '/', '-', '_', '.', '!', '~', '*', '\'', '(', ')':
		return true
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}
