package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// SignPut returns a URL relative to where [Dir.Handler] is mounted.
func (d *Dir) SignPut(ctx context.Context, key string, size int64, sha256 [32]byte, valid time.Duration) (SignedURL, error) {
	return d.signPut(ctx, key, size, sha256, valid)
}

// SignGet returns a URL relative to where [Dir.Handler] is mounted.
func (d *Dir) SignGet(ctx context.Context, key string, valid time.Duration) (SignedURL, error) {
	return d.sign(ctx, ticket{method: http.MethodGet, key: key}, valid)
}

// Handler serves the URLs that SignPut and SignGet make, below [HandlerPath].
// An upload is kept only where its length and its sha256 are those that were
// signed; it is durable after the next [Dir.Sync]. The answer is 201 where the
// object is new, and 200 where it was there.
func (d *Dir) Handler(log *slog.Logger) http.Handler {
	return &handler{signer: &d.signer, upload: d.upload, get: d.Get, bodyTimeout: d.bodyTimeout, log: log}
}

// upload writes an object without waiting until it is durable. It reports
// whether the object was there already with those very bytes.
func (d *Dir) upload(ctx context.Context, t ticket, body io.Reader) (existed bool, err error) {
	s, err := d.stage(ctx, body, t.size, &t.sha256, false)
	if err != nil {
		return false, err
	}
	if existed = d.same(t); existed {
		return true, d.discard(s)
	}
	if err := d.name(ctx, s, t.key, PutOptions{}); err != nil {
		return false, errors.Join(err, d.discard(s))
	}
	return false, nil
}

// same reports whether the object that is there has the announced bytes. A
// damaged one is replaced by being uploaded again.
func (d *Dir) same(t ticket) bool {
	info, err := d.stat(t.key)
	if err != nil || info.Size != t.size {
		return false
	}
	f, _, err := d.open(t.key)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false
	}
	return [sha256.Size]byte(h.Sum(nil)) == t.sha256
}
