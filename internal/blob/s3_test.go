package blob_test

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

func TestS3Conforms(t *testing.T) {
	server := blobtest.StartS3(t)
	blobtest.Run(t, func(t *testing.T) blobtest.Target {
		return blobtest.Target{Store: openS3(t, server.NewBucket(t))}
	})
}

// TestS3ReadsWhereTheSDKWould compares with the URLs that the SDK makes.
func TestS3ReadsWhereTheSDKWould(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	for name, o := range map[string]blob.S3Options{
		"R2":              {Endpoint: blob.R2Endpoint("0123abcd")},
		"a final slash":   {Endpoint: "https://s3.example.com/"},
		"a port":          {Endpoint: "http://127.0.0.1:9000"},
		"AWS":             {Region: "eu-central-1"},
		"the oldest one":  {Region: "us-east-1"},
		"another country": {Region: "cn-north-1"},
	} {
		o.Bucket, o.AccessKeyID, o.SecretAccessKey = "sites", "k", "s"
		s := openS3(t, o)
		for _, key := range blobtest.OddKeys() {
			signed, err := s.SignGet(t.Context(), key, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if want, _, _ := strings.Cut(signed.URL, "?"); s.URL(key) != want {
				t.Errorf("%s: %s, want %s", name, s.URL(key), want)
			}
		}
	}
	if s, err := blob.OpenS3(t.Context(), blob.S3Options{Bucket: "sites", AccessKeyID: "k", SecretAccessKey: "s"}); err == nil {
		t.Errorf("without a region it is %s", s.URL("x"))
	}
}

func TestS3TakesAnotherKey(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	server := blobtest.StartS3(t)
	o := server.NewBucket(t)
	id, secret := o.AccessKeyID, o.SecretAccessKey
	o.AccessKeyID, o.SecretAccessKey = "", ""
	s := openS3(t, o)
	check := func(want error) {
		t.Helper()
		if err := s.Check(t.Context()); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	check(blob.ErrForbidden) // the machine has none
	s.SetKey(id, "another-secret")
	check(blob.ErrForbidden)
	s.SetKey(id, secret)
	check(nil)
	if _, err := s.Stat(t.Context(), "object"); !isNotExist(err) {
		t.Error(err)
	}
}

func openS3(t testing.TB, o blob.S3Options) *blob.S3 {
	t.Helper()
	s, err := blob.OpenS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func signPut(t testing.TB, s blob.Store, key, body string) blob.SignedURL {
	t.Helper()
	u, err := s.SignPut(t.Context(), key, int64(len(body)), sha256.Sum256([]byte(body)), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
