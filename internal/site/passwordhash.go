package site

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// PasswordHash is an argon2id hash, RFC 9106, with what it was made with. In
// text it is a PHC string, as password hashing libraries write it.
type PasswordHash struct {
	MemoryKiB uint32
	Time      uint32 // passes
	Threads   uint8
	Salt      []byte
	Key       []byte // PasswordKeySize bytes
}

// What a hash may ask of the machine that checks a password: a record from a
// bucket must not make an edge run out of memory or time.
const (
	MaxPasswordMemoryKiB = 64 << 10
	MaxPasswordTime      = 8
	MaxPasswordThreads   = 8
	// PasswordKeySize is the length of a hash's key in bytes.
	PasswordKeySize = 32
	minPasswordSalt = 8
	maxPasswordSalt = 64
	// argonVersion is the only one in use, RFC 9106 section 3.1.
	argonVersion = 0x13
)

var errPasswordHash = errors.New("not an argon2id hash within the limits")

// ParsePasswordHash reads a PHC string exactly as String writes it. It refuses
// what is beyond the limits.
func ParsePasswordHash(s string) (PasswordHash, error) {
	h := PasswordHash{}
	parts := strings.Split(s, "$")
	if len(parts) != 6 {
		return h, errPasswordHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.MemoryKiB, &h.Time, &h.Threads); err != nil {
		return h, errPasswordHash
	}
	var errSalt, errKey error
	h.Salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.Key, errKey = base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || !h.bounded() || h.String() != s {
		return PasswordHash{}, errPasswordHash
	}
	return h, nil
}

func (h PasswordHash) bounded() bool {
	return h.Time >= 1 && h.Time <= MaxPasswordTime &&
		h.Threads >= 1 && h.Threads <= MaxPasswordThreads &&
		h.MemoryKiB >= 8*uint32(h.Threads) && h.MemoryKiB <= MaxPasswordMemoryKiB && // RFC 9106 section 3.1
		len(h.Salt) >= minPasswordSalt && len(h.Salt) <= maxPasswordSalt && len(h.Key) == PasswordKeySize
}

// String returns the hash as a PHC string.
func (h PasswordHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argonVersion, h.MemoryKiB, h.Time, h.Threads, b64.EncodeToString(h.Salt), b64.EncodeToString(h.Key))
}
