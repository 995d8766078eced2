package blob_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

// unchecked is a service that keeps whatever is uploaded to a signed URL.
type unchecked struct{ *blob.S3 }

func (unchecked) ChecksUploads(context.Context) (bool, error) { return false, nil }

func TestRelayedUploadsConform(t *testing.T) {
	server := blobtest.StartS3(t)
	blobtest.RunSigned(t, func(t *testing.T) blobtest.Target {
		u := blob.NewUploads(unchecked{openS3(t, server.NewBucket(t))}, []byte("a key for tests"), slog.New(slog.DiscardHandler))
		handler := httptest.NewServer(u.Handler())
		t.Cleanup(handler.Close)
		return blobtest.Target{Store: u, BaseURL: handler.URL}
	})
}

func TestUploadsGoToAServiceThatChecksThem(t *testing.T) {
	server := blobtest.StartS3(t)
	s := openS3(t, server.NewBucket(t))
	var log bytes.Buffer
	u := blob.NewUploads(s, []byte("a key for tests"), slog.New(slog.NewTextHandler(&log, nil)))
	if relayed, err := u.Try(t.Context()); relayed || err != nil || log.Len() > 0 {
		t.Errorf("relayed: %t, %v; logged %q", relayed, err, log.String())
	}
	if signed := signPut(t, u, "object", "x"); !strings.HasPrefix(signed.URL, server.Endpoint) {
		t.Errorf("leads to %s", signed.URL)
	}
	for info, err := range s.List(t.Context(), "", blob.ListOptions{}) {
		t.Errorf("the try left %s, %v", info.Key, err)
	}
}

func TestUploadURLsLeadWhereTheyAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name     string
		status   int
		relayed  bool
		err      bool
		requests int // of two calls
	}{
		{"the service keeps wrong bytes", 200, true, false, 3},
		{"the service refuses all", 403, true, false, 2},
		{"the service is down", 503, false, true, 2},
		{"the service is busy", 429, false, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				w.WriteHeader(tt.status)
				if r.Method == http.MethodPost {
					_, _ = w.Write([]byte("<DeleteResult/>"))
				}
			}))
			defer server.Close()
			s := openS3(t, blob.S3Options{Bucket: "b", Endpoint: server.URL, AccessKeyID: "k", SecretAccessKey: "s", MaxAttempts: 1})
			var log bytes.Buffer
			u := blob.NewUploads(s, []byte("a key"), slog.New(slog.NewTextHandler(&log, nil)))
			for range 2 {
				signed, err := u.SignPut(t.Context(), "object", 1, [32]byte{}, time.Minute)
				if (err != nil) != tt.err {
					t.Fatal(err)
				}
				if err != nil && strings.Contains(err.Error(), "Signature") {
					t.Errorf("the error tells the signature: %v", err)
				}
				if err == nil && strings.HasPrefix(signed.URL, "/blobs/object?") != tt.relayed {
					t.Errorf("leads to %s", signed.URL)
				}
			}
			if requests != tt.requests || (strings.Count(log.String(), "go through the control plane") == 1) != tt.relayed {
				t.Errorf("%d requests; logged %q", requests, log.String())
			}
		})
	}
}

func TestAnUploadIsRelayedAsItComes(t *testing.T) {
	server := blobtest.StartS3(t)
	s := openS3(t, server.NewBucket(t))
	u := blob.NewUploads(unchecked{s}, []byte("a key"), slog.New(slog.DiscardHandler))
	handler := httptest.NewServer(u.Handler())
	defer handler.Close()
	body := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB: more than is held
	for _, tt := range []struct {
		name, method, body string
		status             int
	}{
		{"one byte other at the end", http.MethodPut, body[:len(body)-1] + "F", 400},
		{"one byte short", http.MethodPut, body[1:], 400},
		{"one byte long", http.MethodPut, body + "0", 413},
		{"a read", http.MethodGet, "", 405},
		{"the right bytes", http.MethodPut, body, 201},
		{"once more", http.MethodPut, body, 201},
	} {
		signed := signPut(t, u, "object", body)
		req, err := http.NewRequestWithContext(t.Context(), tt.method, handler.URL+signed.URL, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, resp.Status, tt.status)
		}
		_, err = s.Stat(t.Context(), "object")
		if tt.status < 300 != (err == nil) {
			t.Errorf("%s: afterwards %v", tt.name, err)
		}
	}
}

func TestABucketThatCantBeUsedSaysWhy(t *testing.T) {
	server := blobtest.StartS3(t)
	good := server.NewBucket(t)
	for _, tt := range []struct {
		name   string
		change func(o *blob.S3Options)
		want   error
	}{
		{"a good one", func(*blob.S3Options) {}, nil},
		{"no such bucket", func(o *blob.S3Options) { o.Bucket = "missing" }, blob.ErrNoBucket},
		{"an unknown key", func(o *blob.S3Options) { o.AccessKeyID = "unknown" }, blob.ErrForbidden},
		{"another secret", func(o *blob.S3Options) { o.SecretAccessKey = "other-secret" }, blob.ErrForbidden},
		{"another region", func(o *blob.S3Options) { o.Region = "eu-central-1" }, blob.ErrRegion},
	} {
		o := good
		tt.change(&o)
		err := openS3(t, o).Check(t.Context())
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), o.SecretAccessKey)) {
			t.Errorf("%s: %q", tt.name, err)
		}
	}
}

func TestWritesAreTriedAndLeaveNothing(t *testing.T) {
	server := blobtest.StartS3(t)
	o := server.NewBucket(t)
	s := openS3(t, o)
	if err := s.CheckWrites(t.Context()); err != nil {
		t.Error(err)
	}
	for info, err := range s.List(t.Context(), "", blob.ListOptions{}) {
		t.Errorf("it left %s, %v", info.Key, err)
	}
	for _, tt := range []struct {
		name          string
		put, put2     int
		deleted       string
		want          error
		mayPass       bool
		wantedRequest int
	}{
		{"a service without conditions", 200, 200, "", blob.ErrConditions, false, 3},
		{"a key that may not write", 403, 403, "", blob.ErrForbidden, false, 1},
		{"a key that may not delete", 200, 412, "<Error><Key>k</Key><Code>AccessDenied</Code></Error>", blob.ErrForbidden, false, 3},
		{"a service that is down", 503, 503, "", nil, true, 1},
		{"a service that goes down", 200, 503, "", nil, true, 3},
		{"a good one", 200, 412, "", nil, false, 3},
	} {
		requests := 0
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			if r.Method == http.MethodPost {
				_, _ = w.Write([]byte("<DeleteResult>" + tt.deleted + "</DeleteResult>"))
				return
			}
			w.Header().Set("ETag", `"e"`)
			w.WriteHeader([]int{tt.put, tt.put2}[min(requests, 2)-1])
		}))
		s := openS3(t, blob.S3Options{Bucket: "b", Endpoint: service.URL, AccessKeyID: "k", SecretAccessKey: "s", MaxAttempts: 1})
		err := s.CheckWrites(t.Context())
		if (err != nil) != (tt.want != nil || tt.mayPass) || tt.want != nil && !errors.Is(err, tt.want) || tt.mayPass && errors.Is(err, blob.ErrForbidden) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if requests != tt.wantedRequest {
			t.Errorf("%s: %d requests", tt.name, requests)
		}
		service.Close()
	}
}

func TestAMissingBucketIsNoMissingObject(t *testing.T) {
	server := blobtest.StartS3(t)
	o := server.NewBucket(t)
	o.Bucket = "missing"
	s := openS3(t, o)
	if _, err := s.Get(t.Context(), "object", blob.GetOptions{}); err == nil || isNotExist(err) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Stat(t.Context(), "object"); err == nil || isNotExist(err) {
		t.Errorf("stat: %v", err)
	}
	for _, err := range s.List(t.Context(), "", blob.ListOptions{}) {
		if err == nil || isNotExist(err) {
			t.Errorf("list: %v", err)
		}
	}
}

func TestAllowUploads(t *testing.T) {
	server := blobtest.StartS3(t)
	o := server.NewBucket(t)
	s := openS3(t, o)
	for _, tt := range []struct {
		origin string
		added  bool
	}{
		{"https://deploy.example.com", true},
		{"https://deploy.example.com", false},
		{"http://localhost:9000", true},
		{"https://deploy.example.com", false}, // the other rule was kept
	} {
		added, err := s.AllowUploads(t.Context(), tt.origin)
		if err != nil || added != tt.added {
			t.Errorf("%s: added %t, %v", tt.origin, added, err)
		}
	}
	u := signPut(t, s, "object", "x")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, u.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{"https://deploy.example.com", "https://evil.example.com"} {
		req.Header = http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"content-type,x-amz-checksum-sha256"},
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Access-Control-Allow-Origin"); (got == origin) != (origin != "https://evil.example.com") {
			t.Errorf("%s may upload as %q", origin, got)
		}
	}
	if rule := blob.CORSRule("https://deploy.example.com"); !strings.Contains(rule, `"AllowedOrigins":["https://deploy.example.com"]`) {
		t.Error(rule)
	}
}

// TestAKeyThatMayNotReadTheRulesSeesThatTheyAllow has a service that tells its CORS
// rules to nobody but answers browsers, as R2 does.
func TestAKeyThatMayNotReadTheRulesSeesThatTheyAllow(t *testing.T) {
	const origin = "https://deploy.example.com"
	for _, tt := range []struct {
		name                     string
		status                   int
		origin, methods, headers string
		allowed                  bool
	}{
		{"all of it", 204, origin, "PUT", "content-type, x-amz-checksum-sha256", true},
		{"in another case and order", 200, origin, "GET, put", "X-Amz-Checksum-Sha256,Content-Type", true},
		{"everybody", 200, "*", "*", "*", true},
		{"another origin", 200, "https://other.example.com", "PUT", "*", false},
		{"another method", 200, origin, "GET", "*", false},
		{"one header", 200, origin, "PUT", "content-type", false},
		{"nothing", 200, "", "", "", false},
		{"refused", 403, origin, "PUT", "*", false},
	} {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodOptions {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			if r.Header.Get("Origin") != origin || r.Header.Get("Access-Control-Request-Method") != "PUT" || r.Header.Get("Access-Control-Request-Headers") != "content-type,x-amz-checksum-sha256" {
				t.Errorf("%s: asked with %v", tt.name, r.Header)
			}
			w.Header().Set("Access-Control-Allow-Origin", tt.origin)
			w.Header().Set("Access-Control-Allow-Methods", tt.methods)
			w.Header().Set("Access-Control-Allow-Headers", tt.headers)
			w.WriteHeader(tt.status)
		}))
		s := openS3(t, blob.S3Options{Bucket: "b", Endpoint: service.URL, AccessKeyID: "k", SecretAccessKey: "s", MaxAttempts: 1})
		added, err := s.AllowUploads(t.Context(), origin)
		if added || (err == nil) != tt.allowed {
			t.Errorf("%s: added %t, %v", tt.name, added, err)
		}
		service.Close()
	}
}

// silent is a service that does not answer a try until it is let go.
type silent struct {
	*blob.S3
	asked, release chan struct{}
}

func (s silent) ChecksUploads(context.Context) (bool, error) {
	close(s.asked)
	<-s.release
	return true, nil
}

func TestNobodyWaitsForATryBeyondHisOwnTime(t *testing.T) {
	s := silent{openS3(t, blobtest.StartS3(t).NewBucket(t)), make(chan struct{}), make(chan struct{})}
	u := blob.NewUploads(s, []byte("a key for tests"), slog.New(slog.DiscardHandler))
	first := make(chan error, 1)
	go func() {
		_, err := u.Try(t.Context())
		first <- err
	}()
	<-s.asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.SignPut(ctx, "object", 1, [32]byte{}, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("while another tries: %v", err)
	}
	close(s.release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}
