package controlplane

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// MasterKeySize is the length of a master key in bytes.
const MasterKeySize = 32

// DeriveKey returns the 32-byte key for one purpose: HKDF-SHA256, RFC 5869, with
// one block of output. Nothing is encrypted or signed with the master key
// itself, so that what one part gives away never helps against another.
func DeriveKey(master []byte, purpose string) []byte {
	extract := hmac.New(sha256.New, make([]byte, sha256.Size))
	extract.Write(master)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write([]byte("mini-vercel/1/" + purpose + "\x01"))
	return expand.Sum(nil)
}

// SecretBox encrypts what is secret at rest, with XChaCha20-Poly1305: its
// nonces are long enough to be random.
//
//	version (1 byte) | key id (4) | nonce (24) | ciphertext | tag (16)
//
// A secret is bound to its key's id and to a context, such as the project and
// the name of a variable: a row that is copied to another place does not open.
type SecretBox struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

const (
	secretVersion = 1
	keyIDSize     = 4
	secretHeader  = 1 + keyIDSize
)

var errSecret = errors.New("the secret can't be decrypted: it was changed, or belongs to another place")

// NewSecretBox makes the box of a master key.
func NewSecretBox(master []byte) (*SecretBox, error) {
	if len(master) != MasterKeySize {
		return nil, fmt.Errorf("the master key has %d bytes, not %d", len(master), MasterKeySize)
	}
	aead, err := chacha20poly1305.NewX(DeriveKey(master, "secrets"))
	if err != nil {
		return nil, err
	}
	b := &SecretBox{aead: aead}
	copy(b.id[:], DeriveKey(master, "key id"))
	return b, nil
}

// Seal encrypts a secret for one context.
func (b *SecretBox) Seal(context string, plain []byte) ([]byte, error) {
	out := make([]byte, secretHeader+chacha20poly1305.NonceSizeX, secretHeader+chacha20poly1305.NonceSizeX+len(plain)+b.aead.Overhead())
	out[0] = secretVersion
	copy(out[1:], b.id[:])
	nonce := out[secretHeader:]
	_, _ = rand.Read(nonce) // never fails, see crypto/rand
	return b.aead.Seal(out, nonce, plain, b.bound(context)), nil
}

// Open decrypts what Seal made for the same context.
func (b *SecretBox) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < secretHeader+chacha20poly1305.NonceSizeX || sealed[0] != secretVersion {
		return nil, errSecret
	}
	if [keyIDSize]byte(sealed[1:secretHeader]) != b.id {
		return nil, errors.New("the secret was encrypted with another master key: start with the key that belongs to this database")
	}
	nonce := sealed[secretHeader : secretHeader+chacha20poly1305.NonceSizeX]
	plain, err := b.aead.Open(nil, nonce, sealed[secretHeader+len(nonce):], b.bound(context))
	if err != nil {
		return nil, errSecret
	}
	return plain, nil
}

// bound is the additional data of a secret.
func (b *SecretBox) bound(context string) []byte {
	return append(append([]byte{secretVersion}, b.id[:]...), context...)
}

// seal encrypts a secret of a project for one context.
func (s *Service) seal(context string, plain []byte) ([]byte, error) {
	box, err := NewSecretBox(s.config.MasterKey)
	if err != nil {
		return nil, err
	}
	return box.Seal(context, plain)
}

// unseal decrypts what seal made.
func (s *Service) unseal(context string, sealed []byte) ([]byte, error) {
	box, err := NewSecretBox(s.config.MasterKey)
	if err != nil {
		return nil, err
	}
	return box.Open(context, sealed)
}
