package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// bucketPart is the bucket of the sites. A control plane writes to it; an edge's
// key may be for reading alone.
func (s *Settings) bucketPart(written bool) part {
	at := s.bucket(s.DataDir)
	where, err := at.Identity()
	if err != nil {
		where = at.Directory
	}
	return part{"bucket", where, func(ctx context.Context) (string, error) {
		if at.Directory != "" {
			return s.askDirectory(at.Directory, written)
		}
		store, err := at.Open(ctx, 2)
		if err != nil {
			return "", fmt.Errorf("R2_BUCKET_NAME=%s, R2_ACCOUNT_ID, R2_ENDPOINT: %w", s.R2BucketName, err)
		}
		defer store.Close()
		service := store.(*blob.S3)
		if passes, err := s.askService(ctx, service, reads); passes {
			return "", fmt.Errorf("R2_ACCOUNT_ID or R2_ENDPOINT, or the way to it: %w", err)
		} else if err != nil {
			return "", err
		}
		if !written {
			return "can be read", nil
		}
		if err := tryWrites(ctx, store); err != nil {
			return "", fmt.Errorf("R2_ACCESS_KEY_ID: %w", err)
		}
		if s.R2Uploads == "relayed" {
			return "can be written, uploads go through the control plane (R2_UPLOADS)", nil
		}
		// A try of its own: what it finds out is not for a server's log.
		relayed, err := blob.NewUploads(service, nil, slog.New(slog.DiscardHandler)).Try(ctx)
		if err != nil {
			return "", fmt.Errorf("R2_ENDPOINT: %w", err)
		}
		if relayed {
			return "can be written, uploads go through the control plane", nil
		}
		return "can be written, uploads go straight to it", nil
	}}
}

// askDirectory is for a bucket on this machine's disk.
func (s *Settings) askDirectory(dir string, written bool) (string, error) {
	_, err := os.ReadDir(dir)
	switch {
	case err == nil:
		return "a directory", nil
	case errors.Is(err, fs.ErrNotExist) && written:
		return "a directory, made at the first start", nil
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("R2_BUCKET_NAME is not set, and there is no directory %s: name the bucket, or set DATA_DIR to the control plane's", dir)
	}
	return "", fmt.Errorf("DATA_DIR=%s: %w", s.DataDir, err)
}

// certsBucketPart is the bucket in which all edges keep their certificates.
func (s *Settings) certsBucketPart() part {
	at, _ := s.certsBucket()
	where, err := at.Identity()
	if err != nil {
		where = at.Directory
	}
	variable, key := "CERTS_BUCKET_NAME="+s.CertsBucketName, "CERTS_ACCESS_KEY_ID"
	if at.Directory != "" {
		variable, key = "CERTS_DIR="+s.CertsDir, "CERTS_DIR"
	}
	return part{"certificates' bucket", where, func(ctx context.Context) (string, error) {
		store, err := at.Open(ctx, 2)
		if err != nil {
			return "", fmt.Errorf("%s: %w", variable, err)
		}
		defer store.Close()
		if service, ok := store.(*blob.S3); ok {
			switch err := service.Check(ctx); {
			case errors.Is(err, blob.ErrNoBucket):
				return "", fmt.Errorf("%s: %w: make it, or correct the name", variable, err)
			case errors.Is(err, blob.ErrForbidden):
				return "", fmt.Errorf("%s: %w: it needs a key that reads and writes this bucket", key, err)
			case errors.Is(err, blob.ErrRegion):
				return "", fmt.Errorf("AWS_REGION: %w: set the bucket's", err)
			case err != nil:
				return "", fmt.Errorf("R2_ACCOUNT_ID or R2_ENDPOINT, or the way to it: %w", err)
			}
		}
		if err := tryWrites(ctx, store); err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
		return "can be written", nil
	}}
}

// tryWrites writes, reads and deletes a small object. Two writers are told apart
// by conditions: a service that does not know them loses what one has written.
func tryWrites(ctx context.Context, store caddymodule.BucketStore) error {
	key, body := "probe/"+rand.Text(), []byte("mini-vercel config check")
	put := func() error {
		_, err := store.Put(ctx, key, bytes.NewReader(body), int64(len(body)), blob.PutOptions{IfNoneMatch: true})
		return err
	}
	if err := put(); err != nil {
		return fmt.Errorf("it can't be written: %w", err)
	}
	err := errors.Join(tryRead(ctx, store, key, body), tryCondition(put))
	// Whatever became of the deadline, the object goes.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if deleteErr := store.Delete(ctx, key); err == nil && deleteErr != nil {
		err = fmt.Errorf("%s can't be deleted: %w", key, deleteErr)
	}
	return err
}

func tryRead(ctx context.Context, store blob.Store, key string, body []byte) error {
	o, err := store.Get(ctx, key, blob.GetOptions{})
	if err != nil {
		return fmt.Errorf("what was written can't be read: %w", err)
	}
	defer o.Body.Close()
	if got, err := io.ReadAll(o.Body); err != nil || !bytes.Equal(got, body) {
		return errors.Join(errors.New("other bytes are read than were written"), err)
	}
	return nil
}

func tryCondition(put func() error) error {
	switch err := put(); {
	case err == nil:
		return errors.New("the service writes over an object where it is told not to (If-None-Match): use one that has conditional writes")
	case !errors.Is(err, blob.ErrPrecondition):
		return fmt.Errorf("a conditional write fails: %w", err)
	}
	return nil
}
