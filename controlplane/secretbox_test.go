package controlplane

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestSecretsOpenInTheirPlaceAlone(t *testing.T) {
	box, err := NewSecretBox(bytes.Repeat([]byte{1}, MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewSecretBox(bytes.Repeat([]byte{2}, MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Seal("env|one|NAME", []byte("secret"))
	if err != nil || bytes.Contains(sealed, []byte("secret")) {
		t.Fatalf("%v, %x", err, sealed)
	}
	if again, err := box.Seal("env|one|NAME", []byte("secret")); err != nil || bytes.Equal(sealed, again) {
		t.Fatalf("the same twice: %v", err)
	}
	if plain, err := box.Open("env|one|NAME", sealed); err != nil || string(plain) != "secret" {
		t.Fatalf("%q, %v", plain, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another project":  func() ([]byte, error) { return box.Open("env|two|NAME", sealed) },
		"another name":     func() ([]byte, error) { return box.Open("env|one|OTHER", sealed) },
		"another key":      func() ([]byte, error) { return other.Open("env|one|NAME", sealed) },
		"cut short":        func() ([]byte, error) { return box.Open("env|one|NAME", sealed[:len(sealed)-1]) },
		"nothing":          func() ([]byte, error) { return box.Open("env|one|NAME", nil) },
		"another version":  func() ([]byte, error) { return box.Open("env|one|NAME", append([]byte{9}, sealed[1:]...)) },
		"another key's id": func() ([]byte, error) { return box.Open("env|one|NAME", changed(sealed, 2)) },
		"a changed nonce":  func() ([]byte, error) { return box.Open("env|one|NAME", changed(sealed, 10)) },
		"changed bytes":    func() ([]byte, error) { return box.Open("env|one|NAME", changed(sealed, len(sealed)-20)) },
	} {
		if plain, err := open(); err == nil || plain != nil {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	if _, err := NewSecretBox([]byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}

func changed(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// What is encrypted today must open tomorrow.
func TestAKeptSecretStillOpens(t *testing.T) {
	box, err := NewSecretBox(bytes.Repeat([]byte{1}, MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := hex.DecodeString(keptSecret)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := box.Open("env|project|NAME", sealed); err != nil || string(plain) != "kept" {
		t.Fatalf("%q, %v", plain, err)
	}
}

const (
	keptSecret = "01c90c4eaecb6392c08ebf61f57205cd7add6c8832cfa549e0d5835d82d07d05148d0d050c14bc1b58c06187454bc19d25"
	derivedKey = "4e3b166d56ef2ef8774ea30b422512f68f3a4e69e6db08961fad64a3cbb828c8"
)

// RFC 5869 with SHA-256, no salt, one block: checked against an independent
// implementation.
func TestDeriveKey(t *testing.T) {
	master := bytes.Repeat([]byte{1}, MasterKeySize)
	if got := hex.EncodeToString(DeriveKey(master, "secrets")); got != derivedKey {
		t.Errorf("%s", got)
	}
	if bytes.Equal(DeriveKey(master, "a"), DeriveKey(master, "b")) {
		t.Error("two purposes have one key")
	}
}

func TestTheMasterKeyIsMadeOnceAndGuarded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	var done sync.WaitGroup
	keys := make([][]byte, 8)
	for i := range keys {
		done.Go(func() {
			key, err := LoadMasterKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	done.Wait()
	for _, key := range keys {
		if len(key) != MasterKeySize || !bytes.Equal(key, keys[0]) {
			t.Fatalf("%x beside %x", key, keys[0])
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMasterKey(path); err == nil {
		t.Error("a key that others can read was taken")
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMasterKey(path); err == nil {
		t.Error("a damaged key was taken, or made anew: every secret would be lost")
	}
}

func TestParseMasterKey(t *testing.T) {
	for text, good := range map[string]bool{
		"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=":   true,
		"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE":    true,
		" AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n": true,
		"":     false,
		"AQEB": false,
		"not base64, but forty-four characters long!!": false,
	} {
		if _, err := ParseMasterKey(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
