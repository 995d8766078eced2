package certstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

const (
	valuesPrefix = "values/"
	locksPrefix  = "locks/"
	checkKey     = "check"
	// valueSuffix ends the key of every value. escape lets it stand nowhere
	// else, so that no value's key is the beginning of another's path: not every
	// bucket can hold "a" beside "a/b".
	valueSuffix = "~"
)

// valueKey is where the value of a certmagic key is.
func valueKey(key string) (string, error) {
	if key == "" {
		return "", fmt.Errorf("certificate storage: the key is empty: %w", blob.ErrKey)
	}
	folder, err := folderKey(key)
	if err != nil {
		return "", err
	}
	k := strings.TrimSuffix(folder, "/") + valueSuffix
	if err := blob.CheckKey(k); err != nil {
		return "", fmt.Errorf("certificate storage: %w", err)
	}
	return k, nil
}

// folderKey is the prefix of the keys of all values below a certmagic key; of
// all there are for the empty one.
func folderKey(key string) (string, error) {
	if key == "" {
		return valuesPrefix, nil
	}
	var b strings.Builder
	b.WriteString(valuesPrefix)
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" {
			return "", fmt.Errorf("certificate storage: key %q has an empty part: %w", key, blob.ErrKey)
		}
		b.WriteString(escape(segment))
		b.WriteByte('/')
	}
	return b.String(), nil
}

// certmagicKey is the reverse of valueKey.
func certmagicKey(k string) (string, bool) {
	k, isValue := strings.CutPrefix(k, valuesPrefix)
	k, ends := strings.CutSuffix(k, valueSuffix)
	if !isValue || !ends {
		return "", false
	}
	segments := strings.Split(k, "/")
	for i, segment := range segments {
		var ok bool
		if segments[i], ok = unescape(segment); !ok {
			return "", false
		}
	}
	return strings.Join(segments, "/"), true
}

// lockKey is where the lock of a name is: one segment, whatever is in it. A
// name too long for one is cut and told apart by its hash.
func lockKey(name string) string {
	segment := escape(name)
	if len(segment) > blob.MaxSegmentLength {
		sum := sha256.Sum256([]byte(name))
		segment = segment[:blob.MaxSegmentLength-1-2*sha256.Size] + valueSuffix + hex.EncodeToString(sum[:])
	}
	return locksPrefix + segment
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-@+=", c) >= 0
}

// escape makes a segment that every bucket takes, and that is no step up or
// nowhere: other bytes than plain ones are percent-encoded, and so are the dots
// of "." and "..".
func escape(s string) string {
	dots := s == "." || s == ".."
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) && !dots {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() == 0 {
		return "%"
	}
	return b.String()
}

func unescape(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, s != ""
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		c, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", false
		}
		b.Write(c)
		i += 2
	}
	return b.String(), true
}

// site returns the folder of a certificate's files, where key is one of them.
func site(key string) (string, bool) {
	if !strings.HasPrefix(key, "certificates/") || strings.Count(key, "/") != 3 {
		return "", false
	}
	return path.Dir(key), true
}

// siteLock is the lock that certmagic holds while it obtains or renews the
// certificate of a folder.
func siteLock(folder string) string {
	return "issue_cert_" + strings.Replace(path.Base(folder), "wildcard_", "*", 1)
}

// lasting says whether a copy of a key's value is of use later.
func lasting(key string) bool {
	return !strings.HasPrefix(key, "rw_test_") && !strings.Contains(key, "/challenge_tokens/")
}
