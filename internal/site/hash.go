package site

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// HashSize is the length of a [Hash] in bytes.
const HashSize = sha256.Size

// Hash is the sha256 of a blob's or a chunk's bytes.
type Hash [HashSize]byte

// HashOf returns the hash of b.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// ParseHash reads 64 lower-case hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*HashSize {
		return h, fmt.Errorf("a sha256 has %d hexadecimal digits, this has %d", 2*HashSize, len(s))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return h, fmt.Errorf("a sha256 is written in lower-case hexadecimal digits, this has %q", c)
		}
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err
}

// String returns the hash as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash as String does.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (h *Hash) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHash(string(text))
	return err
}
