package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func built() fstest.MapFS {
	return fstest.MapFS{
		".gitkeep":              {},
		"index.html":            {Data: []byte("<!doctype html>page")},
		"assets/app-abc.js":     {Data: []byte("plain")},
		"assets/app-abc.js.br":  {Data: []byte("brotli")},
		"assets/app-abc.js.gz":  {Data: []byte("gzip")},
		"assets/font-abc.woff2": {Data: []byte("font")},
	}
}

func get(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	var b strings.Builder
	buf := make([]byte, 512)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

func TestHandler(t *testing.T) {
	h := newHandler(built(), "")
	for _, test := range []struct {
		name, method, target, accept string
		status                       int
		body, encoding, cache        string
	}{
		{"the page", "GET", "/dashboard/", "br", 200, "<!doctype html>page", "", "no-cache"},
		{"a place within it", "GET", "/dashboard/p/blog/d/12ab34cd", "", 200, "<!doctype html>page", "", "no-cache"},
		{"a dotted name within it", "GET", "/dashboard/p/a.b", "", 200, "<!doctype html>page", "", "no-cache"},
		{"an asset", "GET", "/dashboard/assets/app-abc.js", "", 200, "plain", "", "public, max-age=31536000, immutable"},
		{"an asset in brotli", "GET", "/dashboard/assets/app-abc.js", "gzip, br", 200, "brotli", "br", "public, max-age=31536000, immutable"},
		{"an asset in gzip", "GET", "/dashboard/assets/app-abc.js", "gzip;q=0.5, br;q=0", 200, "gzip", "gzip", "public, max-age=31536000, immutable"},
		{"a font as it is", "GET", "/dashboard/assets/font-abc.woff2", "br", 200, "font", "", "public, max-age=31536000, immutable"},
		{"an asset that is gone", "GET", "/dashboard/assets/app-old.js", "", 404, "this file belongs to another version of the dashboard\n", "", "no-store"},
		{"a variant by its own name", "GET", "/dashboard/assets/app-abc.js.br", "", 404, "this file belongs to another version of the dashboard\n", "", "no-store"},
		{"another method", "POST", "/dashboard/", "", 405, "method not allowed\n", "", ""},
		{"another path", "GET", "/elsewhere", "", 404, "404 page not found\n", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := get(h, test.method, test.target, "Accept-Encoding", test.accept)
			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d", resp.StatusCode, test.status)
			}
			if got := body(t, resp); got != test.body {
				t.Errorf("body %q, want %q", got, test.body)
			}
			if got := resp.Header.Get("Content-Encoding"); got != test.encoding {
				t.Errorf("encoding %q, want %q", got, test.encoding)
			}
			if got := resp.Header.Get("Cache-Control"); got != test.cache {
				t.Errorf("cache %q, want %q", got, test.cache)
			}
		})
	}
}

func TestHandlerLeadsToTheFinalSlash(t *testing.T) {
	resp := get(newHandler(built(), ""), "GET", "/dashboard")
	if resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != "/dashboard/" {
		t.Errorf("got %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestHandlerSendsThePolicyWithEveryFile(t *testing.T) {
	h := newHandler(built(), "")
	for _, target := range []string{"/dashboard/", "/dashboard/assets/app-abc.js", "/dashboard/assets/none.js"} {
		policy := get(h, "GET", target).Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", target, policy)
		}
	}
}

func TestThePolicyKnowsWhereTheDashboardTalksTo(t *testing.T) {
	for want, origins := range map[string][]string{
		"connect-src 'self';":                                              {"", ""},
		"connect-src 'self' https://s3.example.com;":                       {"https://s3.example.com", ""},
		"connect-src 'self' https://a.supabase.co;":                        {"", "https://a.supabase.co"},
		"connect-src 'self' https://s3.example.com https://a.supabase.co;": {"https://s3.example.com", "https://a.supabase.co"},
	} {
		policy := get(newHandler(built(), origins...), "GET", "/dashboard/").Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, want) {
			t.Errorf("%q: policy %q", origins, policy)
		}
	}
}

func TestHandlerAnswersNotModified(t *testing.T) {
	h := newHandler(built(), "")
	first := get(h, "GET", "/dashboard/assets/app-abc.js", "Accept-Encoding", "br")
	again := get(h, "GET", "/dashboard/assets/app-abc.js", "Accept-Encoding", "br", "If-None-Match", first.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("status %d, want 304", again.StatusCode)
	}
	other := get(h, "GET", "/dashboard/assets/app-abc.js", "If-None-Match", first.Header.Get("ETag"))
	if other.StatusCode != http.StatusOK {
		t.Errorf("another encoding has the same ETag: status %d, want 200", other.StatusCode)
	}
}

func TestHandlerSaysThatTheDashboardWasNotBuilt(t *testing.T) {
	resp := get(newHandler(fstest.MapFS{".gitkeep": {}}, ""), "GET", "/dashboard/")
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body(t, resp), "make build") {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestHandlerServesWhatIsEmbedded(t *testing.T) {
	resp := get(Handler(""), "GET", "/dashboard/")
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", resp.StatusCode)
	}
}
