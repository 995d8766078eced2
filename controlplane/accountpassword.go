package controlplane

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// passwordHasher hashes passwords with argon2id, RFC 9106, at most two at once:
// each takes 19 MiB and tens of milliseconds, and people without an account can
// ask for it.
type passwordHasher struct {
	slots  chan struct{}
	params argonParams
	dummy  string // what the password of an unknown account is compared with
}

type argonParams struct {
	memoryKiB, time uint32
	threads         uint8
}

const (
	hashesAtOnce = 2
	hashWait     = 5 * time.Second // how long a sign-in waits for its turn
	saltSize     = 16

	maxPasswordBytes = 256
	minPassword      = 8
)

// owaspParams are the second recommended set of OWASP's Password Storage Cheat
// Sheet: little memory, since the machine is small.
var owaspParams = argonParams{memoryKiB: 19 << 10, time: 2, threads: 1}

func newPasswordHasher() *passwordHasher {
	h := &passwordHasher{slots: make(chan struct{}, hashesAtOnce), params: owaspParams}
	h.dummy = h.params.phc(make([]byte, saltSize), make([]byte, site.PasswordKeySize))
	return h
}

// checkPassword says what is wrong with a new password. Length is what counts;
// RFC 9106 hashes take any bytes, so nothing else is asked.
func checkPassword(password, email string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Errorf("use at least %d characters", minPassword)
	case len(password) > maxPasswordBytes:
		return fmt.Errorf("use at most %d bytes", maxPasswordBytes)
	case email != "" && strings.EqualFold(password, email):
		return errors.New("use something else than the address")
	}
	return nil
}

// hash returns a new password's hash in the PHC string format.
func (h *passwordHasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails, see crypto/rand
	key, err := h.derive(ctx, password, salt, h.params)
	if err != nil {
		return "", err
	}
	return h.params.phc(salt, key), nil
}

// verify reports whether a password belongs to a hash, and whether the hash was
// made with other parameters than are used now. With no hash it does the same
// work and says no.
func (h *passwordHasher) verify(ctx context.Context, hash, password string) (good, old bool, err error) {
	exists := hash != ""
	if !exists {
		hash = h.dummy
	}
	want, err := site.ParsePasswordHash(hash)
	if err != nil {
		return false, false, fmt.Errorf("a kept password hash can't be read: %w", err)
	}
	params := argonParams{want.MemoryKiB, want.Time, want.Threads}
	if len(password) > maxPasswordBytes {
		password = password[:maxPasswordBytes] // can't be right; costs no more than others
		exists = false
	}
	key, err := h.derive(ctx, password, want.Salt, params)
	if err != nil {
		return false, false, err
	}
	good = subtle.ConstantTimeCompare(key, want.Key) == 1 && exists
	return good, params != h.params, nil
}

func (h *passwordHasher) derive(ctx context.Context, password string, salt []byte, p argonParams) ([]byte, error) {
	wait, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-wait.Done():
		return nil, Errorf(CodeUnavailable, "Too many passwords are being checked at once. Try again in a moment.")
	}
	return argon2.IDKey([]byte(password), salt, p.time, p.memoryKiB, p.threads, site.PasswordKeySize), nil
}

// phc writes a hash in the PHC string format.
func (p argonParams) phc(salt, key []byte) string {
	return site.PasswordHash{MemoryKiB: p.memoryKiB, Time: p.time, Threads: p.threads, Salt: salt, Key: key}.String()
}
