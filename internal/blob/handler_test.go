package blob_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// uploads is a bucket with its handler on a server, and a clock.
type uploads struct {
	dir    string
	bucket *blob.Dir
	server *httptest.Server
	now    time.Time
}

func newUploads(t *testing.T, opts blob.DirOptions) *uploads {
	t.Helper()
	u := &uploads{dir: t.TempDir(), now: time.Now()}
	opts.Now = func() time.Time { return u.now }
	if opts.SigningKey == nil {
		opts.SigningKey = []byte("a key for tests")
	}
	var err error
	if u.bucket, err = blob.OpenDir(u.dir, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.bucket.Close() })
	u.server = httptest.NewServer(u.bucket.Handler(slog.New(slog.DiscardHandler)))
	t.Cleanup(u.server.Close)
	return u
}

func (u *uploads) sign(t *testing.T, key, body string) string {
	t.Helper()
	s, err := u.bucket.SignPut(t.Context(), key, int64(len(body)), sha256.Sum256([]byte(body)), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return s.URL
}

func (u *uploads) do(t *testing.T, method, url string, body *strings.Reader) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, u.server.URL+url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var p struct {
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}
	if resp.StatusCode >= 400 {
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.Status != resp.StatusCode || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: the problem is %+v, %v", resp.Status, p, err)
		}
	}
	return resp, p.Detail
}

func TestUploadStatuses(t *testing.T) {
	u := newUploads(t, blob.DirOptions{})
	const body = "0123456789"
	url := u.sign(t, "object", body)
	for _, c := range []struct {
		name   string
		method string
		url    string
		body   string
		late   time.Duration
		status int
		detail string
	}{
		{"one byte short", http.MethodPut, url, body[1:], 0, 400, "the body has 9 bytes, the URL takes 10"},
		{"one byte long", http.MethodPut, url, body + "x", 0, 413, "the body has 11 bytes, the URL takes 10"},
		{"other bytes", http.MethodPut, url, "9876543210", 0, 400, "sha256"},
		{"forged", http.MethodPut, strings.Replace(url, "size=10", "size=11", 1), body, 0, 403, "signature"},
		{"unsigned", http.MethodPut, "/blobs/object", body, 0, 403, "signature"},
		{"another key", http.MethodPut, strings.Replace(url, "object", "objecu", 1), body, 0, 403, "signature"},
		{"a method that is not signed", http.MethodPost, url, body, 0, 405, "GET, HEAD or PUT"},
		{"at its last second", http.MethodPut, url, body, 59 * time.Second, 201, ""},
		{"there already", http.MethodPut, url, body, 0, 200, ""},
		{"there already, other bytes", http.MethodPut, url, "9876543210", 0, 400, "sha256"},
		{"late", http.MethodPut, url, body, 61 * time.Second, 403, "expired"},
	} {
		start := u.now
		u.now = start.Add(c.late)
		resp, detail := u.do(t, c.method, c.url, strings.NewReader(c.body))
		u.now = start
		if resp.StatusCode != c.status || !strings.Contains(detail, c.detail) {
			t.Errorf("%s: %s, %q, want %d, %q", c.name, resp.Status, detail, c.status, c.detail)
		}
		if left := tempFiles(t, u.dir); len(left) != 0 {
			t.Errorf("%s: left %q", c.name, left)
		}
	}
}

func TestUploadOfUnknownLength(t *testing.T) {
	u := newUploads(t, blob.DirOptions{})
	for body, status := range map[string]int{"0123456789": 201, "012345678": 400, "01234567890": 400} {
		url := u.sign(t, "object", "0123456789")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u.server.URL+url, struct{ *strings.Reader }{strings.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%d bytes: %s, want %d", len(body), resp.Status, status)
		}
		if err := u.bucket.Delete(t.Context(), "object"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUploadReplacesADamagedObject(t *testing.T) {
	u := newUploads(t, blob.DirOptions{})
	if _, err := u.bucket.Put(t.Context(), "object", strings.NewReader("damaged!!!"), 10, blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	resp, _ := u.do(t, http.MethodPut, u.sign(t, "object", "0123456789"), strings.NewReader("0123456789"))
	if resp.StatusCode != http.StatusCreated {
		t.Error(resp.Status)
	}
}

func TestStalledUploadEnds(t *testing.T) {
	u := newUploads(t, blob.DirOptions{BodyTimeout: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", u.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := strings.Repeat("x", 200_000)
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", u.sign(t, "object", body), len(body), body[:150_000])
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout || !resp.Close {
		t.Errorf("%s, closed: %t", resp.Status, resp.Close)
	}
	if left := tempFiles(t, u.dir); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

func TestDownloadIsNoPageOfThisOrigin(t *testing.T) {
	u := newUploads(t, blob.DirOptions{})
	body := "<script>alert(1)</script>"
	if _, err := u.bucket.Put(t.Context(), "page.html", strings.NewReader(body), int64(len(body)), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	s, err := u.bucket.SignGet(t.Context(), "page.html", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		resp, _ := u.do(t, method, s.URL, strings.NewReader(""))
		h := resp.Header
		if resp.StatusCode != 200 || h.Get("Content-Type") != "application/octet-stream" || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || resp.ContentLength != int64(len(body)) {
			t.Errorf("%s: %s, %d bytes, %v", method, resp.Status, resp.ContentLength, h)
		}
	}
}

func TestWithoutAKeyNothingIsSigned(t *testing.T) {
	d, err := blob.OpenDir(t.TempDir(), blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if s, err := d.SignPut(t.Context(), "object", 1, [32]byte{}, time.Minute); err == nil {
		t.Errorf("signed: %+v", s)
	}
	signed := newUploads(t, blob.DirOptions{SigningKey: []byte("k")}).sign(t, "object", "x")
	w := httptest.NewRecorder()
	d.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodPut, signed, strings.NewReader("x")))
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d", w.Code)
	}
}
