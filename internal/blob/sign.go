package blob

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// HandlerPath is where the handler of a bucket must be mounted, to which the
// URLs lead that no service answers.
const HandlerPath = "/blobs/"

var (
	errNoKey     = errors.New("the bucket was opened without a key for signing URLs")
	errSignature = errors.New("the signature is not that of this URL")
	errExpired   = errors.New("the URL has expired")
)

// signer makes the URLs that a handler of this package answers, and checks them.
type signer struct {
	key []byte
	now func() time.Time
}

func (s *signer) signPut(ctx context.Context, key string, size int64, sha256 [32]byte, valid time.Duration) (SignedURL, error) {
	if size < 0 {
		return SignedURL{}, fmt.Errorf("sign put %s: a size of %d bytes", key, size)
	}
	return s.sign(ctx, ticket{method: http.MethodPut, key: key, size: size, sha256: sha256}, valid)
}

func (s *signer) sign(ctx context.Context, t ticket, valid time.Duration) (SignedURL, error) {
	err := checkRead(ctx, t.key)
	if err == nil && len(s.key) == 0 {
		err = errNoKey
	}
	if err != nil {
		return SignedURL{}, fmt.Errorf("sign %s %s: %w", strings.ToLower(t.method), t.key, err)
	}
	expires := s.now().Add(valid)
	t.expires = expires.Unix()
	u := url.URL{Path: HandlerPath + t.key}
	q := "?expires=" + strconv.FormatInt(t.expires, 10)
	if t.method == http.MethodPut {
		q += "&size=" + strconv.FormatInt(t.size, 10) + "&sha256=" + hex.EncodeToString(t.sha256[:])
	}
	sum := t.mac(s.key)
	return SignedURL{
		Method:  t.method,
		URL:     u.EscapedPath() + q + "&sig=" + hex.EncodeToString(sum[:]),
		Expires: time.Unix(t.expires, 0).UTC(),
	}, nil
}

// ticket is what a signed URL permits.
type ticket struct {
	method  string
	key     string
	size    int64    // of a PUT
	sha256  [32]byte // of a PUT
	expires int64    // Unix seconds
}

// mac binds every field. A key has no line break, so no two tickets are
// written alike.
func (t *ticket) mac(key []byte) (sum [sha256.Size]byte) {
	b := make([]byte, 0, 256)
	b = append(b, "mini-vercel blob url 1\n"...)
	b = append(append(b, t.method...), '\n')
	b = append(append(b, t.key...), '\n')
	b = append(strconv.AppendInt(b, t.size, 10), '\n')
	b = append(hex.AppendEncode(b, t.sha256[:]), '\n')
	b = strconv.AppendInt(b, t.expires, 10)
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(b)
	h.Sum(sum[:0])
	return sum
}

// ticketOf reads the ticket of a request and checks it.
func (s *signer) ticketOf(r *http.Request) (ticket, error) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	t := ticket{method: method, key: strings.TrimPrefix(r.URL.Path, HandlerPath)}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(s.key) == 0 {
		return t, errSignature
	}
	if t.expires, err = strconv.ParseInt(q.Get("expires"), 10, 64); err != nil {
		return t, errSignature
	}
	if method == http.MethodPut {
		if t.size, err = strconv.ParseInt(q.Get("size"), 10, 64); err != nil {
			return t, errSignature
		}
		if n, err := hex.Decode(t.sha256[:], []byte(fixedLength(q.Get("sha256"), 2*len(t.sha256)))); err != nil || n != len(t.sha256) {
			return t, errSignature
		}
	}
	var sig [sha256.Size]byte
	if n, err := hex.Decode(sig[:], []byte(fixedLength(q.Get("sig"), 2*len(sig)))); err != nil || n != len(sig) {
		return t, errSignature
	}
	want := t.mac(s.key)
	if !hmac.Equal(sig[:], want[:]) {
		return t, errSignature
	}
	if s.now().Unix() >= t.expires {
		return t, errExpired
	}
	return t, nil
}

// fixedLength returns s where it has that length, else nothing.
func fixedLength(s string, n int) string {
	if len(s) != n {
		return ""
	}
	return s
}
