package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/certstore"
)

// certificates says where a fleet of edges keeps its certificates together; nil
// where each edge keeps its own.
func (s *Settings) certificates(data string) *caddymodule.Storage {
	bucket, ok := s.certsBucket()
	if !ok {
		return nil
	}
	return &caddymodule.Storage{
		Bucket: bucket, Secret: s.EdgeSecret, PreviousSecret: s.EdgeSecretPrevious,
		LocalDir: filepath.Join(data, "certificates"),
	}
}

// certsBucket is the bucket of the certificates: a directory, or one where the
// bucket of the sites is, with a key of its own.
func (s *Settings) certsBucket() (bucket caddymodule.Bucket, ok bool) {
	if s.CertsBucketName == "" {
		return caddymodule.Bucket{Directory: s.CertsDir}, s.CertsDir != ""
	}
	bucket = caddymodule.Bucket{
		Name: s.CertsBucketName, AccountID: s.R2AccountID, Endpoint: s.R2Endpoint,
		AccessKeyID: s.R2AccessKeyID, SecretAccessKey: s.R2SecretAccessKey,
	}
	if s.CertsAccessKeyID != "" {
		bucket.AccessKeyID, bucket.SecretAccessKey = s.CertsAccessKeyID, s.CertsSecretAccessKey
	}
	return bucket, true
}

// checkCertificates refuses settings of the certificates' bucket that say
// nothing or contradict each other.
func (s *Settings) checkCertificates() error {
	switch {
	case s.CertsBucketName != "" && s.CertsDir != "":
		return errors.New("CERTS_BUCKET_NAME and CERTS_DIR both say where certificates are kept: set one")
	case s.CertsBucketName != "" && s.CertsBucketName == s.R2BucketName:
		return fmt.Errorf("CERTS_BUCKET_NAME=%s is R2_BUCKET_NAME too: certificates need a bucket of their own, which an edge may write", s.CertsBucketName)
	case s.CertsBucketName == "" && s.CertsAccessKeyID+s.CertsSecretAccessKey != "":
		return errors.New("CERTS_ACCESS_KEY_ID and CERTS_SECRET_ACCESS_KEY are of no use without CERTS_BUCKET_NAME: set it, or unset them")
	case s.CertsAccessKeyID == "" && s.CertsSecretAccessKey != "":
		return errors.New("CERTS_ACCESS_KEY_ID is not set, which belongs to CERTS_SECRET_ACCESS_KEY")
	case s.CertsAccessKeyID != "" && s.CertsSecretAccessKey == "":
		return errors.New("CERTS_SECRET_ACCESS_KEY is not set, which belongs to CERTS_ACCESS_KEY_ID")
	}
	bucket, ok := s.certsBucket()
	if ok || s.EdgeSecret != "" || s.EdgeSecretPrevious != "" {
		if _, err := certstore.ParseSecrets(s.EdgeSecret, s.EdgeSecretPrevious); err != nil {
			return err
		}
	}
	if !ok {
		return nil
	}
	if err := bucket.Check(); err != nil {
		return fmt.Errorf("CERTS_BUCKET_NAME, CERTS_DIR: %w", err)
	}
	return nil
}
