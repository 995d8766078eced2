package source

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// forge serves the repositories below a folder over HTTPS, as a public one
// would, at git.example.
type forge struct {
	*httptest.Server
	g        *Git
	said     *[]string
	root     string
	password string
	handler  func(w http.ResponseWriter, r *http.Request) bool
	requests atomic.Int64
}

func newForge(t *testing.T) *forge {
	t.Helper()
	f := &forge{root: t.TempDir()}
	backend := &cgi.Handler{
		Path: filepath.Join(git(t, ".", "--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + f.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		if f.handler != nil && f.handler(w, r) {
			return
		}
		if _, password, _ := r.BasicAuth(); password != f.password {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	f.Server.TLS = &tls.Config{}
	f.StartTLS()
	t.Cleanup(f.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	f.g, f.said = newGit(t)
	f.g.extraEnv = []string{"GIT_SSL_CAINFO=" + ca}
	f.g.Network = Network{Resolver: names{"example.com": {"127.0.0.1"}}, trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	return f
}

// address is the repository's public address: the test certificate is for
// example.com.
func (f *forge) address(name string) string {
	u, err := url.Parse(f.Server.URL)
	if err != nil {
		panic(err)
	}
	return "https://example.com:" + u.Port() + "/" + name
}
