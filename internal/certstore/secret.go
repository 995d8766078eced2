package certstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrSecret: a value was encrypted with a secret that this edge does not have.
	ErrSecret = errors.New("it is encrypted with another secret than EDGE_SECRET: give every edge the same EDGE_SECRET, and while you change it the other one as EDGE_SECRET_PREVIOUS")
	// ErrDamaged: a value is not what was stored under its name.
	ErrDamaged = errors.New("it is damaged, or not what was stored under this name")
)

// Secrets encrypt and decrypt values. There may be two while a fleet changes
// from one to the other: both decrypt, the first encrypts.
type Secrets struct{ current, previous *sealer }

// ParseSecrets reads EDGE_SECRET and EDGE_SECRET_PREVIOUS; the latter may be
// empty. Errors name the setting and never show the secret.
func ParseSecrets(current, previous string) (*Secrets, error) {
	s := &Secrets{}
	var err error
	if s.current, err = parseSecret("EDGE_SECRET", current); err != nil {
		return nil, err
	}
	if previous == "" {
		return s, nil
	}
	if s.previous, err = parseSecret("EDGE_SECRET_PREVIOUS", previous); err != nil {
		return nil, err
	}
	if s.previous.id == s.current.id {
		return nil, errors.New("EDGE_SECRET_PREVIOUS is the same as EDGE_SECRET: unset it, or set it to the secret before")
	}
	return s, nil
}

const (
	secretBytes = 32
	// A secret of random bytes has more different ones than this, but for one in
	// 10^16; what people type or repeat has fewer.
	secretVariety = 14
	secretHint    = "use 32 random bytes in base64 or hex, such as `openssl rand -base64 32` prints"
)

func parseSecret(setting, text string) (*sealer, error) {
	if text == "" {
		return nil, fmt.Errorf("%s is not set: %s", setting, secretHint)
	}
	secret, ok := decodeSecret(text)
	if !ok {
		return nil, fmt.Errorf("%s is neither base64 nor hex: %s", setting, secretHint)
	}
	if len(secret) < secretBytes {
		return nil, fmt.Errorf("%s has %d bytes: %s", setting, len(secret), secretHint)
	}
	var seen [256]bool
	variety := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			variety++
		}
	}
	if variety < secretVariety {
		return nil, fmt.Errorf("%s is not random: %s", setting, secretHint)
	}
	return newSealer(secret)
}

// decodeSecret takes hex, and base64 of either alphabet with or without its
// padding. What is both is hex.
func decodeSecret(text string) ([]byte, bool) {
	if b, err := hex.DecodeString(text); err == nil {
		return b, true
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	b, err := base64.RawStdEncoding.DecodeString(text)
	return b, err == nil
}

// sealer encrypts with one secret. What it makes is
//
//	format (4 bytes) · id of the secret (8) · nonce (12) · ciphertext · tag (16)
type sealer struct {
	id   [idBytes]byte
	aead cipher.AEAD // with a random nonce in front
}

const (
	format    = "MVC1"
	idBytes   = 8
	headBytes = len(format) + idBytes
	// overhead is by how much a value grows when it is encrypted.
	overhead = int64(headBytes + 12 + 16)
)

func newSealer(secret []byte) (*sealer, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "mini-vercel certificates: AES-256-GCM", 32)
	if err != nil {
		return nil, err
	}
	id, err := hkdf.Key(sha256.New, secret, nil, "mini-vercel certificates: id", idBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{[idBytes]byte(id), aead}, nil
}

// seal encrypts a value for its name.
func (s *Secrets) seal(name string, value []byte) []byte {
	out := make([]byte, 0, int64(len(value))+overhead)
	out = append(out, format...)
	out = append(out, s.current.id[:]...)
	return append(out, s.current.aead.Seal(nil, nil, value, []byte(name))...)
}

// open decrypts what seal made for that name. outdated says that the previous
// secret did it.
func (s *Secrets) open(name string, sealed []byte) (value []byte, outdated bool, err error) {
	if len(sealed) < headBytes || !bytes.HasPrefix(sealed, []byte(format)) {
		return nil, false, ErrDamaged
	}
	with := s.current
	if id := [idBytes]byte(sealed[len(format):headBytes]); id != with.id {
		if s.previous == nil || id != s.previous.id {
			return nil, false, ErrSecret
		}
		with, outdated = s.previous, true
	}
	value, err = with.aead.Open(nil, nil, sealed[headBytes:], []byte(name))
	if err != nil {
		return nil, false, ErrDamaged
	}
	return value, outdated, nil
}

// Fingerprint tells secrets apart without giving them away.
func (s *Secrets) Fingerprint() string {
	fingerprint := hex.EncodeToString(s.current.id[:])
	if s.previous != nil {
		fingerprint += "," + hex.EncodeToString(s.previous.id[:])
	}
	return fingerprint
}
