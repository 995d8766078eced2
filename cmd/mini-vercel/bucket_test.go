package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

func TestSettingsOfABucket(t *testing.T) {
	key := []string{"R2_ACCESS_KEY_ID=k", "R2_SECRET_ACCESS_KEY=s"}
	for _, tt := range []struct {
		name string
		env  []string
		want string // of the error; empty: none
	}{
		{"R2", append(key, "R2_BUCKET_NAME=sites", "R2_ACCOUNT_ID=0123abcd"), ""},
		{"another service", append(key, "R2_BUCKET_NAME=sites", "R2_ENDPOINT=https://s3.example.com"), ""},
		{"AWS with a role", []string{"R2_BUCKET_NAME=sites"}, ""},
		{"an account without a bucket", []string{"R2_ACCOUNT_ID=0123abcd"}, "R2_ACCOUNT_ID is set, but R2_BUCKET_NAME is not"},
		{"an endpoint without a bucket", []string{"R2_ENDPOINT=https://s3.example.com"}, "R2_ENDPOINT is set, but R2_BUCKET_NAME is not"},
		{"a key without a bucket", []string{"R2_SECRET_ACCESS_KEY=secret"}, "R2_SECRET_ACCESS_KEY is set, but R2_BUCKET_NAME is not"},
		{"an account and an endpoint", []string{"R2_BUCKET_NAME=sites", "R2_ACCOUNT_ID=0123abcd", "R2_ENDPOINT=https://s3.example.com"}, "R2_ACCOUNT_ID and R2_ENDPOINT"},
		{"half a key", []string{"R2_BUCKET_NAME=sites", "R2_ACCESS_KEY_ID=k"}, "R2_SECRET_ACCESS_KEY is not set"},
		{"the other half", []string{"R2_BUCKET_NAME=sites", "R2_SECRET_ACCESS_KEY=secret"}, "R2_ACCESS_KEY_ID is not set"},
		{"an endpoint that is none", []string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=s3.example.com"}, "R2_ENDPOINT"},
		{"a name that is none", []string{"R2_BUCKET_NAME=sites/a"}, "R2_BUCKET_NAME"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(tt.env)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("got %q", err)
			}
		})
	}
	s, err := Load([]string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=https://s3.example.com", "R2_ACCESS_KEY_ID=the-id", "R2_SECRET_ACCESS_KEY=the-secret"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := writeConfig(&out, s, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "the-id") || strings.Contains(out.String(), "the-secret") || !strings.Contains(out.String(), "s3.example.com") {
		t.Error(out.String())
	}
}

func TestABucketThatCantBeUsedNamesTheSetting(t *testing.T) {
	server := blobtest.StartS3(t)
	good := server.NewBucket(t)
	t.Setenv("AWS_REGION", good.Region)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	denies := func(methods ...string) func(*Settings) {
		front := denying(t, good.Endpoint, methods...)
		return func(s *Settings) { s.R2Endpoint = front }
	}
	for _, tt := range []struct {
		name   string
		change func(s *Settings)
		want   string // of the error; empty: none
		logged string
	}{
		{"a key that only reads", denies(http.MethodPut), "R2_ACCESS_KEY_ID: access is denied: write an object: AccessDenied: it needs a key that may write to", ""},
		{"a key that may not delete", denies(http.MethodPost), "R2_ACCESS_KEY_ID: access is denied: delete an object: AccessDenied: it needs a key that may write to", ""},
		{"a good one", func(*Settings) {}, "", ""},
		{"no such bucket", func(s *Settings) { s.R2BucketName = "missing" }, "R2_BUCKET_NAME=missing: there is no such bucket", ""},
		{"a wrong key", func(s *Settings) { s.R2SecretAccessKey = "wrong-secret" }, "R2_ACCESS_KEY_ID: access is denied", ""},
		{"another region", func(*Settings) { t.Setenv("AWS_REGION", "eu-central-1") }, "AWS_REGION: the bucket is in another region than eu-central-1", ""},
		{"nobody answers", func(s *Settings) { s.R2Endpoint = "http://127.0.0.1:1" }, "", "R2_ENDPOINT"},
	} {
		s := &Settings{R2BucketName: good.Bucket, R2Endpoint: good.Endpoint, R2AccessKeyID: good.AccessKeyID, R2SecretAccessKey: good.SecretAccessKey}
		t.Setenv("AWS_REGION", good.Region)
		tt.change(s)
		var logged bytes.Buffer
		log := slog.New(slog.NewTextHandler(&logged, nil))
		b, err := s.openBucket(t.Context(), "", []byte("a key"), log)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		err = s.checkService(t.Context(), b.service, writes, log)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if !strings.Contains(logged.String(), tt.logged) || tt.logged == "" && logged.Len() > 0 {
			t.Errorf("%s: logged %q, want %q", tt.name, logged.String(), tt.logged)
		}
		if err != nil && strings.Contains(err.Error(), s.R2SecretAccessKey) {
			t.Errorf("%s: the secret is told: %v", tt.name, err)
		}
	}
}

// denying is a service in front of another one that denies some methods.
func denying(t *testing.T, endpoint string, methods ...string) string {
	t.Helper()
	at, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	behind := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = at.Scheme, at.Host }} // the signature has the other Host
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			behind.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// TestAnEdgesKeyMayOnlyRead has an edge look at the bucket with a key that a
// control plane can't use.
func TestAnEdgesKeyMayOnlyRead(t *testing.T) {
	at := blobtest.StartS3(t).NewBucket(t)
	t.Setenv("AWS_REGION", at.Region)
	s := &Settings{R2BucketName: at.Bucket, R2Endpoint: denying(t, at.Endpoint, http.MethodPut, http.MethodPost, http.MethodDelete), R2AccessKeyID: at.AccessKeyID, R2SecretAccessKey: at.SecretAccessKey}
	b, err := s.openBucket(t.Context(), "", []byte("a key"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := s.checkService(t.Context(), b.service, reads, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

func TestTheDashboardMayUploadToTheBucket(t *testing.T) {
	server := blobtest.StartS3(t)
	at := server.NewBucket(t)
	t.Setenv("AWS_REGION", at.Region)
	s := &Settings{R2BucketName: at.Bucket, R2Endpoint: at.Endpoint, R2AccessKeyID: at.AccessKeyID, R2SecretAccessKey: at.SecretAccessKey}
	b, err := s.openBucket(t.Context(), "", []byte("a key"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := b.uploadOrigin(t.Context()); got != at.Endpoint {
		t.Errorf("uploads go to %q, want %q", got, at.Endpoint)
	}
	if got := b.headInterval(); got != time.Second {
		t.Errorf("head may be written every %s", got)
	}
	dashboard := &url.URL{Scheme: "https", Host: "deploy.example.com", Path: "/"}
	var logged bytes.Buffer
	b.prepareUploads(t.Context(), dashboard, slog.New(slog.NewTextHandler(&logged, nil)))
	if !strings.Contains(logged.String(), "a CORS rule was added") {
		t.Error(logged.String())
	}
	signed, err := b.SignPut(t.Context(), "object", 1, [32]byte{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, signed.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Origin": {"https://deploy.example.com"}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"content-type,x-amz-checksum-sha256"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Access-Control-Allow-Origin") != "https://deploy.example.com" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}

	// A key that may not change the rules: what is to be added is printed as the
	// consoles take it.
	s.R2SecretAccessKey = "wrong-secret"
	denied, err := s.openBucket(t.Context(), "", []byte("a key"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer denied.Close()
	denied.try = b.try
	dashboard = &url.URL{Scheme: "https", Host: "other.example.com"}
	denied.prepareUploads(t.Context(), dashboard, slog.New(slog.DiscardHandler))
	p := &controlPlane{publicURL: dashboard, dir: &dataDir{path: "data"}, bucket: denied}
	var printed bytes.Buffer
	p.announce(&printed, "", "")
	want := `[{"AllowedHeaders":["content-type","x-amz-checksum-sha256"],"AllowedMethods":["PUT"],"AllowedOrigins":["https://other.example.com"],"MaxAgeSeconds":3600}]`
	if !slices.Contains(strings.Split(printed.String(), "\n"), want) {
		t.Error(printed.String())
	}
	p.bucket = b
	printed.Reset()
	if p.announce(&printed, "", ""); strings.Contains(printed.String(), "CORS") {
		t.Error(printed.String())
	}
}
