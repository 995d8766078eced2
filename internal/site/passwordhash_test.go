package site

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestPasswordHashes(t *testing.T) {
	phc := func(change func(*PasswordHash)) string {
		h := PasswordHash{MemoryKiB: 19456, Time: 2, Threads: 1, Salt: bytes.Repeat([]byte{1}, 16), Key: bytes.Repeat([]byte{2}, PasswordKeySize)}
		if change != nil {
			change(&h)
		}
		return h.String()
	}
	good := phc(nil)
	if want := "$argon2id$v=19$m=19456,t=2,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"; good != want {
		t.Fatalf("got %s", good)
	}
	for _, tt := range []struct {
		name, phc string
		good      bool
	}{
		{"as it is made", good, true},
		{"most memory", phc(func(h *PasswordHash) { h.MemoryKiB = MaxPasswordMemoryKiB }), true},
		{"too much memory", phc(func(h *PasswordHash) { h.MemoryKiB = MaxPasswordMemoryKiB + 1 }), false},
		{"least memory", phc(func(h *PasswordHash) { h.MemoryKiB = 8 }), true},
		{"too little memory", phc(func(h *PasswordHash) { h.MemoryKiB = 7 }), false},
		{"most passes", phc(func(h *PasswordHash) { h.Time = MaxPasswordTime }), true},
		{"too many passes", phc(func(h *PasswordHash) { h.Time = MaxPasswordTime + 1 }), false},
		{"no pass", phc(func(h *PasswordHash) { h.Time = 0 }), false},
		{"most threads", phc(func(h *PasswordHash) { h.Threads = MaxPasswordThreads }), true},
		{"too many threads", phc(func(h *PasswordHash) { h.Threads = MaxPasswordThreads + 1 }), false},
		{"no thread", phc(func(h *PasswordHash) { h.Threads = 0 }), false},
		{"least salt", phc(func(h *PasswordHash) { h.Salt = h.Salt[:minPasswordSalt] }), true},
		{"too little salt", phc(func(h *PasswordHash) { h.Salt = h.Salt[:minPasswordSalt-1] }), false},
		{"most salt", phc(func(h *PasswordHash) { h.Salt = make([]byte, maxPasswordSalt) }), true},
		{"too much salt", phc(func(h *PasswordHash) { h.Salt = make([]byte, maxPasswordSalt+1) }), false},
		{"a short key", phc(func(h *PasswordHash) { h.Key = h.Key[1:] }), false},
		{"a long key", phc(func(h *PasswordHash) { h.Key = append(h.Key, 2) }), false},
		{"empty", "", false},
		{"a number that wraps", strings.Replace(good, "m=19456", fmt.Sprint("m=", uint64(1)<<32+19456), 1), false},
		{"another algorithm", strings.Replace(good, "argon2id", "argon2i", 1), false},
		{"another version", strings.Replace(good, "v=19", "v=16", 1), false},
		{"something behind a number", strings.Replace(good, "p=1", "p=1,x=2", 1), false},
		{"a number with a zero in front", strings.Replace(good, "m=19456", "m=019456", 1), false},
		{"padding", good + "=", false},
		{"one part more", good + "$", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ParsePasswordHash(tt.phc)
			if (err == nil) != tt.good || err == nil && h.String() != tt.phc {
				t.Fatalf("got %+v, %v", h, err)
			}
		})
	}
}

func FuzzParsePasswordHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParsePasswordHash(s)
		if err == nil && (h.String() != s || !h.bounded()) {
			t.Fatalf("%q became %+v", s, h)
		}
	})
}
