package site

import (
	"fmt"
	"unicode/utf8"
)

// MaxPathLength is the longest path of a file in a manifest, in bytes.
const MaxPathLength = 4096

// CheckPath says what is wrong with a path of a manifest: it begins with a
// slash, is valid UTF-8 without control characters, and has no empty, "." or
// ".." segment.
func CheckPath(path string) error {
	switch {
	case path == "" || path[0] != '/':
		return fmt.Errorf("path %q does not begin with a slash", path)
	case len(path) > MaxPathLength:
		return fmt.Errorf("path %q… has %d bytes, the most is %d", path[:64], len(path), MaxPathLength)
	case !utf8.ValidString(path):
		return fmt.Errorf("path %q is not valid UTF-8", path)
	}
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if path[i] < 0x20 || path[i] == 0x7f {
				return fmt.Errorf("path %q has a control character", path)
			}
			continue
		}
		switch path[start:i] {
		case "", ".", "..":
			return fmt.Errorf("path %q is not normal: it has the segment %q", path, path[start:i])
		}
		start = i + 1
	}
	return nil
}

// MaxContentTypeLength is the longest content type in a manifest, in bytes.
const MaxContentTypeLength = 255

// CheckContentType says what is wrong with a content type: an edge sends it as
// it is, so it must be the value of a header (RFC 9110 section 5.5), in ASCII.
func CheckContentType(t string) error {
	if len(t) > MaxContentTypeLength {
		return fmt.Errorf("content type %.64q… has %d bytes, the most is %d", t, len(t), MaxContentTypeLength)
	}
	for i := range len(t) {
		if t[i] < 0x20 || t[i] > 0x7e {
			return fmt.Errorf("content type %q has a character that no header takes", t)
		}
	}
	return nil
}
