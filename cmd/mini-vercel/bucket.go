package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// bucketTime bounds what is asked of the bucket at a start.
const bucketTime = 10 * time.Second

// bucket says where the bucket is, for control plane and edge alike: at R2 or
// another service of S3, or in the data directory.
func (s *Settings) bucket(data string) caddymodule.Bucket {
	if s.R2BucketName == "" {
		return caddymodule.Bucket{Directory: filepath.Join(data, "bucket")}
	}
	return caddymodule.Bucket{
		Name: s.R2BucketName, AccountID: s.R2AccountID, Endpoint: s.R2Endpoint,
		AccessKeyID: s.R2AccessKeyID, SecretAccessKey: s.R2SecretAccessKey,
	}
}

// checkBucket refuses settings of R2 that say nothing or contradict each other.
func (s *Settings) checkBucket() error {
	for name, value := range map[string]string{
		"R2_ACCOUNT_ID": s.R2AccountID, "R2_ENDPOINT": s.R2Endpoint,
		"R2_ACCESS_KEY_ID": s.R2AccessKeyID, "R2_SECRET_ACCESS_KEY": s.R2SecretAccessKey,
	} {
		if value != "" && s.R2BucketName == "" && s.CertsBucketName == "" {
			return fmt.Errorf("%s is set, but R2_BUCKET_NAME is not: name the bucket, or unset both to use a directory", name)
		}
	}
	switch {
	case s.R2AccountID != "" && s.R2Endpoint != "":
		return errors.New("R2_ACCOUNT_ID and R2_ENDPOINT both say where the bucket is: set one")
	case s.R2AccessKeyID != "" && s.R2SecretAccessKey == "":
		return errors.New("R2_SECRET_ACCESS_KEY is not set, which belongs to R2_ACCESS_KEY_ID")
	case s.R2AccessKeyID == "" && s.R2SecretAccessKey != "":
		return errors.New("R2_ACCESS_KEY_ID is not set, which belongs to R2_SECRET_ACCESS_KEY")
	case s.R2BucketName == "":
		return nil
	}
	if err := s.bucket("").Check(); err != nil {
		return fmt.Errorf("R2_BUCKET_NAME, R2_ACCOUNT_ID, R2_ENDPOINT: %w", err)
	}
	return nil
}

// openedBucket is an open bucket with the control plane's part of it.
type openedBucket struct {
	blob.Store
	close   io.Closer
	uploads http.Handler // where upload URLs lead that no service answers
	service *blob.S3     // nil for a directory
	relayed bool         // all uploads go to this process, by the settings

	// corsRule is what a person has to add to the bucket for uploads from the
	// dashboard; empty: nothing.
	corsRule string
	try      func(context.Context) (relayed bool, err error)
}

func (b *openedBucket) Close() error { return b.close.Close() }

// headInterval is how often the change log may be written: S3 takes one key no
// more often.
func (b *openedBucket) headInterval() time.Duration {
	if b.service == nil {
		return 0
	}
	return time.Second
}

// openBucket opens the bucket for the control plane. The key signs upload URLs.
func (s *Settings) openBucket(ctx context.Context, data string, key []byte, log *slog.Logger) (*openedBucket, error) {
	at := s.bucket(data)
	if at.Directory != "" {
		d, err := blob.OpenDir(at.Directory, blob.DirOptions{SigningKey: key})
		if err != nil {
			return nil, err
		}
		return &openedBucket{Store: d, close: d, uploads: d.Handler(log)}, nil
	}
	store, err := at.Open(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("R2_BUCKET_NAME=%s, R2_ACCOUNT_ID, R2_ENDPOINT: %w", s.R2BucketName, err)
	}
	service := store.(*blob.S3)
	uploads := blob.NewUploads(service, key, log)
	relayed := s.R2Uploads == "relayed"
	if relayed {
		uploads.Relay()
	}
	return &openedBucket{Store: uploads, close: service, uploads: uploads.Handler(), service: service, relayed: relayed, try: uploads.Try}, nil
}

// access is what a process does with the bucket.
type access int

const (
	reads  access = iota // as an edge
	writes               // as a control plane
)

// checkService looks whether the bucket at a service can be used. The error is
// one that only a person can end; one that may pass is logged.
func (s *Settings) checkService(ctx context.Context, service *blob.S3, use access, log *slog.Logger) error {
	passes, err := s.askService(ctx, service, use)
	if passes {
		log.Warn("the bucket does not answer; it is tried again when it is needed. If this lasts, look at R2_ACCOUNT_ID or R2_ENDPOINT", "bucket", service.Identity(), "error", err)
		return nil
	}
	return err
}

// askService reads from the bucket at a service, once, and writes to it where
// that is asked for. Of an error, passes is whether it may end by itself; any
// other names what a person has to change.
func (s *Settings) askService(ctx context.Context, service *blob.S3, use access) (passes bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, bucketTime)
	defer cancel()
	needs := "may list and read"
	err = service.Check(ctx)
	if err == nil && use == writes {
		needs = "may write to and delete from (one that only reads is for edges)"
		err = service.CheckWrites(ctx)
	}
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, blob.ErrNoBucket):
		return false, fmt.Errorf("R2_BUCKET_NAME=%s: %w at this address (%s): make it, or correct the name, R2_ACCOUNT_ID or R2_ENDPOINT", s.R2BucketName, err, service.Identity())
	case errors.Is(err, blob.ErrForbidden):
		return false, fmt.Errorf("R2_ACCESS_KEY_ID: %w: it needs a key that %s the bucket %s", err, needs, s.R2BucketName)
	case errors.Is(err, blob.ErrRegion):
		return false, fmt.Errorf("AWS_REGION: %w: set the bucket's", err)
	case errors.Is(err, blob.ErrConditions):
		return false, fmt.Errorf("R2_ENDPOINT: %w: use one that has conditional writes, or two control planes undo each other's work", err)
	}
	return true, err
}

// prepareUploads finds out where uploads go, and lets pages of the dashboard
// upload there. What does not work is logged: everything else does.
func (b *openedBucket) prepareUploads(ctx context.Context, dashboard *url.URL, log *slog.Logger) {
	if b.service == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, bucketTime)
	defer cancel()
	relayed, err := b.try(ctx)
	if err != nil {
		log.Warn("uploads to the bucket could not be tried; they are with the first one", "error", err)
	}
	if relayed || err != nil {
		return
	}
	origin := dashboard.Scheme + "://" + dashboard.Host
	added, err := b.service.AllowUploads(ctx, origin)
	switch {
	case err != nil:
		b.corsRule = blob.CORSRule(origin)
		log.Warn("the bucket's CORS rules can't be seen to: whether folders can be dropped on the dashboard is not known", "error", err)
	case added:
		log.Info("the bucket takes uploads from the dashboard: a CORS rule was added", "origin", origin)
	}
}

// uploadOrigin is where browsers upload to, other than the control plane; none
// for a directory, or where uploads are relayed.
func (b *openedBucket) uploadOrigin(ctx context.Context) string {
	if b.service == nil || b.relayed {
		return ""
	}
	signed, err := b.service.SignGet(ctx, "origin", time.Minute)
	if err != nil {
		return "" // there is no key, which has been said
	}
	u, err := url.Parse(signed.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
