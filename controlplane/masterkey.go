package controlplane

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ParseMasterKey reads 32 bytes in base64.
func ParseMasterKey(text string) ([]byte, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		key, err = base64.RawURLEncoding.DecodeString(text)
	}
	if err != nil || len(key) != MasterKeySize {
		return nil, fmt.Errorf("use %d random bytes in base64, such as `openssl rand -base64 %d` prints", MasterKeySize, MasterKeySize)
	}
	return key, nil
}

// KeyFingerprint tells a master key from others and says nothing of it.
func KeyFingerprint(key []byte) string {
	return hex.EncodeToString(DeriveKey(key, "fingerprint")[:8])
}

// LoadMasterKey reads the master key from a file, and makes the file where
// there is none. Whoever reads it can read every secret: it is refused where
// others may.
func LoadMasterKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeMasterKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the master key %s can be read by others (mode %04o): chmod 600 it", path, mode)
	}
	key, err := ParseMasterKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("the master key %s is damaged: put it back from a backup, without it no secret can be read", path)
	}
	return key, nil
}

// makeMasterKey writes a new key. It stands under its name only when it is
// whole and on the disk.
func makeMasterKey(path string) (key []byte, err error) {
	key = make([]byte, MasterKeySize)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	defer func() {
		if err != nil {
			err = fmt.Errorf("make the master key: %w", err)
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(path), ".master.key-*") // 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	// Link fails where another process was faster; rename would replace its key.
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return LoadMasterKey(path)
		}
		return nil, err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return key, dir.Sync()
}
