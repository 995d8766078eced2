package blob

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxKeyLength is the longest key in bytes, and MaxSegmentLength the longest
// part of one between slashes: what S3 and what file systems take.
const (
	MaxKeyLength     = 1024
	MaxSegmentLength = 255
)

// ErrKey: the key is not one that any bucket could hold.
var ErrKey = errors.New("not the key of an object")

// CheckKey says what is wrong with a key: it is relative, valid UTF-8 without
// control characters, and has no empty, "." or ".." segment.
func CheckKey(key string) error {
	if len(key) > MaxKeyLength {
		return fmt.Errorf("%w: %d bytes, the most is %d", ErrKey, len(key), MaxKeyLength)
	}
	if !utf8.ValidString(key) {
		return fmt.Errorf("%w: %q is not valid UTF-8", ErrKey, key)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if err := checkSegment(segment); err != nil {
			return fmt.Errorf("%w: %q: %w", ErrKey, key, err)
		}
	}
	return nil
}

func checkSegment(s string) error {
	switch {
	case s == "":
		return errors.New("a segment is empty")
	case s == "." || s == "..":
		return fmt.Errorf("a segment is %q", s)
	case len(s) > MaxSegmentLength:
		return fmt.Errorf("a segment has %d bytes, the most is %d", len(s), MaxSegmentLength)
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return errors.New("it has a control character")
		}
	}
	return nil
}

// checkPrefix is CheckKey for the beginning of a key: its last segment may be
// empty or cut short.
func checkPrefix(prefix string) error {
	dir := prefix[:strings.LastIndexByte(prefix, '/')+1]
	if dir == "" {
		return nil
	}
	return CheckKey(dir[:len(dir)-1])
}
