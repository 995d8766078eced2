package blob

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Uploads is a [Store] at a service, with upload URLs that can be trusted: they
// lead to the service itself where it refuses other bytes than those that were
// signed, and else to [Uploads.Handler], which checks them on their way.
type Uploads struct {
	Service
	signer signer
	log    *slog.Logger

	trying  chan struct{} // holds one element while somebody tries the service
	known   bool          // the service has been tried; for who holds trying
	relayed bool          // it can't be trusted; likewise
}

// Service is a bucket whose signed URLs lead to somebody else.
type Service interface {
	Store
	// ChecksUploads tries whether what is uploaded to signed URLs is checked.
	ChecksUploads(ctx context.Context) (bool, error)
}

var _ Store = (*Uploads)(nil)

// NewUploads makes the upload URLs of a service. The key signs those that lead
// to the handler.
func NewUploads(service Service, signingKey []byte, log *slog.Logger) *Uploads {
	return &Uploads{Service: service, signer: signer{signingKey, time.Now}, log: log, trying: make(chan struct{}, 1)}
}

// Relay has all uploads go through the handler, for a service that those who
// upload can't reach. It is called before anything else.
func (u *Uploads) Relay() { u.known, u.relayed = true, true }

// SignPut returns a URL of the service, or one relative to where the handler is
// mounted. The first call tries the service, unless Try has.
func (u *Uploads) SignPut(ctx context.Context, key string, size int64, sha256 [32]byte, valid time.Duration) (SignedURL, error) {
	relayed, err := u.Try(ctx)
	if err != nil {
		return SignedURL{}, err
	}
	if relayed {
		return u.signer.signPut(ctx, key, size, sha256, valid)
	}
	return u.Service.SignPut(ctx, key, size, sha256, valid)
}

// Try finds out, once, whether uploads must be relayed. After an error it is
// tried again.
func (u *Uploads) Try(ctx context.Context) (relayed bool, err error) {
	select {
	case u.trying <- struct{}{}:
		defer func() { <-u.trying }()
	case <-ctx.Done():
		return false, fmt.Errorf("wait until uploads to %s are tried: %w", u.Identity(), ctx.Err())
	}
	if u.known {
		return u.relayed, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	checked, err := u.Service.ChecksUploads(ctx)
	if err != nil {
		return false, err
	}
	u.known, u.relayed = true, !checked
	if u.relayed {
		u.log.Warn("the bucket's service does not check what is uploaded to signed URLs: uploads go through the control plane, which does", "bucket", u.Identity())
	}
	return u.relayed, nil
}

// tryTime bounds the three requests of a try.
const tryTime = 15 * time.Second

// Handler takes the uploads whose URLs do not lead to the service, below
// [HandlerPath]. A body is passed on while it comes, and kept only where it is
// what was signed.
func (u *Uploads) Handler() http.Handler {
	put := func(ctx context.Context, t ticket, body io.Reader) (existed bool, err error) {
		_, err = u.Put(ctx, t.key, body, t.size, PutOptions{SHA256: &t.sha256})
		return false, err
	}
	return &handler{signer: &u.signer, upload: put, bodyTimeout: bodyTimeout, log: u.log}
}
