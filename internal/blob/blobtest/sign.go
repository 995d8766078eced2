package blobtest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

var signTests = []conformanceTest{
	{"an upload of the right bytes", func(t *testing.T, b Target) {
		for _, body := range []string{"", "x", strings.Repeat("0123456789", 50_000)} {
			u := b.signPut(t, "objects/"+strconv.Itoa(len(body)), body, time.Minute)
			for range 2 { // the second finds it there
				if status := b.send(t, u, body); status/100 != 2 {
					t.Errorf("%d bytes: status %d", len(body), status)
				}
			}
			if err := b.Store.Sync(t.Context()); err != nil {
				t.Error(err)
			}
			wantBody(t, b.Store, "objects/"+strconv.Itoa(len(body)), body)
		}
	}},
	{"an upload replaces other bytes", func(t *testing.T, b Target) {
		old := put(t, b.Store, "object", "old")
		if status := b.send(t, b.signPut(t, "object", "new", time.Minute), "new"); status/100 != 2 {
			t.Errorf("status %d", status)
		}
		wantBody(t, b.Store, "object", "new")
		if info, err := b.Store.Stat(t.Context(), "object"); err != nil || info.ETag == old.ETag {
			t.Errorf("%+v, %v; the ETag was %q", info, err, old.ETag)
		}
	}},
	{"an upload of anything else is refused", func(t *testing.T, b Target) {
		const body = "the right bytes"
		for _, wrong := range []string{"", "the right byte", "the right bytes!", "the wrong bytes", strings.Repeat("x", 1<<20)} {
			if status := b.send(t, b.signPut(t, "object", body, time.Minute), wrong); status < 400 || status >= 500 {
				t.Errorf("%.20q: status %d", wrong, status)
			}
			wantAbsent(t, b.Store, "object")
		}
	}},
	{"a URL that was changed is refused", func(t *testing.T, b Target) {
		const body = "bytes"
		u := b.signPut(t, "tenant-a/object", body, time.Minute)
		parsed, err := url.Parse(u.URL)
		if err != nil {
			t.Fatal(err)
		}
		change := func(f func(*url.URL)) string {
			c := *parsed
			f(&c)
			return c.String()
		}
		urls := map[string]string{
			"key":      change(func(c *url.URL) { c.Path = strings.Replace(c.Path, "tenant-a", "tenant-b", 1) }),
			"no query": change(func(c *url.URL) { c.RawQuery = "" }),
		}
		for name, values := range parsed.Query() {
			urls["without "+name] = change(func(c *url.URL) {
				q := c.Query()
				q.Del(name)
				c.RawQuery = q.Encode()
			})
			v := values[0]
			last := byte('0')
			if v[len(v)-1] == last {
				last = '1'
			}
			urls["other "+name] = change(func(c *url.URL) {
				q := c.Query()
				q.Set(name, v[:len(v)-1]+string(last))
				c.RawQuery = q.Encode()
			})
		}
		for name, changed := range urls {
			s := u
			s.URL = changed
			if status := b.send(t, s, body); status < 400 || status >= 500 {
				t.Errorf("%s: status %d", name, status)
			}
		}
		if got := keys(t, b.Store, "", ""); len(got) != 0 {
			t.Errorf("%q were written", got)
		}
		s := u
		s.Method = http.MethodGet
		put(t, b.Store, "tenant-a/object", body)
		if status := b.send(t, s, ""); status < 400 || status >= 500 {
			t.Errorf("a GET with a PUT's signature: status %d", status)
		}
		s, err = b.Store.SignGet(t.Context(), "tenant-a/object", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		s.Method = http.MethodPut
		if status := b.send(t, s, "other"); status < 400 || status >= 500 {
			t.Errorf("a PUT with a GET's signature: status %d", status)
		}
		wantBody(t, b.Store, "tenant-a/object", body)
	}},
	{"a URL that is late is refused", func(t *testing.T, b Target) {
		put(t, b.Store, "object", "x")
		up := b.signPut(t, "late", "x", time.Second)
		down, err := b.Store.SignGet(t.Context(), "object", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range []blob.SignedURL{up, down} {
			body := ""
			if u.Method == http.MethodPut {
				body = "x"
			}
			if left := time.Until(u.Expires); left > 2*time.Second {
				t.Errorf("%s expires in %s", u.Method, left)
			}
			for deadline := time.Now().Add(10 * time.Second); b.send(t, u, body) != http.StatusForbidden; {
				if time.Now().After(deadline) {
					t.Fatalf("%s is still taken", u.Method)
				}
			}
		}
	}},
	{"uploads by many at once", func(t *testing.T, b Target) {
		race(8, func(n int) {
			for i := range 25 {
				body := fmt.Sprintf("content %d", i) // every writer writes the same objects
				key := fmt.Sprintf("shared/%d", i)
				if status := b.send(t, b.signPut(t, key, body, time.Minute), body); status/100 != 2 {
					t.Errorf("writer %d, object %d: status %d", n, i, status)
				}
			}
		})
		for i := range 25 {
			wantBody(t, b.Store, fmt.Sprintf("shared/%d", i), fmt.Sprintf("content %d", i))
		}
	}},
	{"odd keys in URLs", func(t *testing.T, b Target) {
		for _, key := range oddKeys {
			body := "body of " + key
			if status := b.send(t, b.signPut(t, "odd/"+key, body, time.Minute), body); status/100 != 2 {
				t.Errorf("%q: status %d", key, status)
				continue
			}
			wantBody(t, b.Store, "odd/"+key, body)
			u, err := b.Store.SignGet(t.Context(), "odd/"+key, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if status, got := b.fetch(t, u, nil); status != http.StatusOK || got != body {
				t.Errorf("%q reads %q, status %d", key, got, status)
			}
		}
	}},
	{"a download", func(t *testing.T, b Target) {
		put(t, b.Store, "object", "0123456789")
		u, err := b.Store.SignGet(t.Context(), "object", time.Minute)
		if err != nil || u.Method != http.MethodGet {
			t.Fatal(u, err)
		}
		if status, body := b.fetch(t, u, nil); status != http.StatusOK || body != "0123456789" {
			t.Errorf("%q, status %d", body, status)
		}
		if status, body := b.fetch(t, u, http.Header{"Range": {"bytes=3-5"}}); status != http.StatusPartialContent || body != "345" {
			t.Errorf("a range: %q, status %d", body, status)
		}
		missing, err := b.Store.SignGet(t.Context(), "missing", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := b.fetch(t, missing, nil); status != http.StatusNotFound {
			t.Errorf("missing: status %d", status)
		}
	}},
}

func (b Target) signPut(t *testing.T, key, body string, valid time.Duration) blob.SignedURL {
	t.Helper()
	u, err := b.Store.SignPut(t.Context(), key, int64(len(body)), sha256.Sum256([]byte(body)), valid)
	if err != nil || u.Method != http.MethodPut {
		t.Fatalf("sign put %q: %+v, %v", key, u, err)
	}
	return u
}

// send makes a request with a body and returns the status. A server that closes
// the connection before it has read what it refuses counts as 400.
func (b Target) send(t *testing.T, u blob.SignedURL, body string) int {
	t.Helper()
	resp, err := b.do(t, u, strings.NewReader(body), nil)
	if err != nil {
		return http.StatusBadRequest
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("%s %s: %v", u.Method, u.URL, err)
	}
	return resp.StatusCode
}

func (b Target) fetch(t *testing.T, u blob.SignedURL, h http.Header) (status int, body string) {
	t.Helper()
	resp, err := b.do(t, u, nil, h)
	if err != nil {
		t.Errorf("%s %s: %v", u.Method, u.URL, err)
		return 0, ""
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", u.Method, u.URL, err)
	}
	return resp.StatusCode, string(got)
}

func (b Target) do(t *testing.T, u blob.SignedURL, body io.Reader, h http.Header) (*http.Response, error) {
	t.Helper()
	address := u.URL
	if strings.HasPrefix(address, "/") {
		address = b.BaseURL + address
	}
	req, err := http.NewRequestWithContext(t.Context(), u.Method, address, body)
	if err != nil {
		t.Errorf("%s %s: %v", u.Method, address, err)
		return nil, err
	}
	for name, value := range u.Headers {
		req.Header.Set(name, value)
	}
	for name, values := range h {
		req.Header[name] = values
	}
	return http.DefaultClient.Do(req)
}
