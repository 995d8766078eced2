package publish

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// plane is the control plane's side of the upload protocol, with its bucket in a
// directory. The real one can't be had here: it is built on packages that the
// builder must not know.
type plane struct {
	t      testing.TB
	server *httptest.Server
	dir    string
	token  string

	// fault, where it is set, may answer a request in the protocol's place.
	fault func(w http.ResponseWriter, r *http.Request) (answered bool)
	valid time.Duration // of upload URLs

	mu        sync.Mutex
	kept      []*site.Manifest // of published deployments
	manifest  *site.Manifest   // of the one that uploads
	missing   []site.Upload    // what is left of the round
	published int
	calls     map[string]int
	put       map[site.Hash]int
}

func newPlane(t testing.TB) *plane {
	p := &plane{t: t, dir: t.TempDir(), token: "mv_test", valid: time.Minute, calls: map[string]int{}, put: map[site.Hash]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /projects/p1/blobs/known", p.known)
	mux.HandleFunc("PUT /deployments/d1/manifest", p.putManifest)
	mux.HandleFunc("POST /deployments/d1/uploads", p.uploads)
	mux.HandleFunc("POST /deployments/d1/publish", p.publish)
	mux.HandleFunc("PUT /blobs/{key}", p.putBlob)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Method + " " + r.URL.Path
		if strings.HasPrefix(r.URL.Path, "/blobs/") {
			name = "PUT blob"
			if r.Header.Get("Authorization") != "" {
				t.Error("a signed URL got the token")
			}
		} else if r.Header.Get("Authorization") != "Bearer "+p.token {
			problem(w, http.StatusUnauthorized, "Sign in first.")
			return
		}
		p.mu.Lock()
		p.calls[name]++
		p.mu.Unlock()
		if p.fault != nil && p.fault(w, r) {
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.server.Close)
	return p
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}

func (p *plane) client() *Client {
	c, err := NewClient(ClientOptions{URL: p.server.URL, Token: p.token, UserAgent: "test", Retry: Retry{Least: time.Millisecond, Most: 5 * time.Millisecond}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	return c
}

func (p *plane) known(w http.ResponseWriter, r *http.Request) {
	var in site.KnownRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Hashes) > site.MaxKnownHashes {
		problem(w, http.StatusUnprocessableEntity, "wrong hashes")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	files := map[site.Hash]site.File{}
	for _, m := range p.kept {
		for f := range m.Files() {
			files[f.Blob(site.Identity).SHA256()] = f
		}
	}
	out := site.KnownResponse{Blobs: []site.KnownBlob{}}
	for _, h := range in.Hashes {
		f, ok := files[h]
		if !ok {
			continue
		}
		k := site.KnownBlob{SHA256: h, ContentType: f.ContentType()}
		for _, e := range site.Variants {
			if f.Has(e) {
				b := f.Blob(e).Entry()
				k.Variants = append(k.Variants, site.VariantBlob{Encoding: e.String(), SHA256: b.SHA256, Size: b.Size, Chunks: b.Chunks})
			}
		}
		out.Blobs = append(out.Blobs, k)
	}
	json.NewEncoder(w).Encode(out)
}

func (p *plane) putManifest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m, err := site.DecodeManifest(body)
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.manifest, p.missing = m, nil
	w.WriteHeader(http.StatusNoContent)
}

func (p *plane) lacks() (missing []site.Upload) {
	for b := range p.manifest.Blobs() {
		info, err := os.Stat(filepath.Join(p.dir, b.SHA256().String()))
		if err != nil || info.Size() != b.Size() {
			missing = append(missing, site.Upload{SHA256: b.SHA256(), Size: b.Size()})
		}
	}
	return missing
}

func (p *plane) uploads(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.missing) == 0 {
		p.missing = p.lacks()
	}
	n := min(len(p.missing), site.MaxUploads)
	out := site.UploadsResponse{Uploads: slices.Clone(p.missing[:n]), Missing: len(p.missing)}
	p.missing = p.missing[n:]
	expires := time.Now().Add(p.valid)
	for i := range out.Uploads {
		u := &out.Uploads[i]
		u.URL = site.URL{Method: "PUT", URL: fmt.Sprintf("/blobs/%s?size=%d&expires=%d", u.SHA256, u.Size, expires.UnixNano()), Expires: expires}
	}
	json.NewEncoder(w).Encode(out)
}

func (p *plane) putBlob(w http.ResponseWriter, r *http.Request) {
	expires, _ := strconv.ParseInt(r.URL.Query().Get("expires"), 10, 64)
	if time.Now().UnixNano() > expires {
		problem(w, http.StatusForbidden, "The URL has expired.")
		return
	}
	if r.URL.Query().Get("size") != strconv.FormatInt(r.ContentLength, 10) {
		problem(w, http.StatusBadRequest, "wrong length")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	hash := site.HashOf(body)
	if hash.String() != r.PathValue("key") {
		problem(w, http.StatusBadRequest, "other bytes than announced")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put[hash]++
	if err := os.WriteFile(filepath.Join(p.dir, hash.String()), body, 0o600); err != nil {
		p.t.Error(err)
	}
}

func (p *plane) publish(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if missing := p.lacks(); len(missing) > 0 {
		problem(w, http.StatusConflict, fmt.Sprintf("%d blobs are missing", len(missing)))
		return
	}
	p.published++
	p.kept = append(p.kept, p.manifest)
	fmt.Fprint(w, `{"id":"d1","status":"READY"}`)
}

// called returns how often a call was made, those included that nobody waits
// for any more.
func (p *plane) called(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[name]
}

func (p *plane) wasPublished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.published > 0
}

// deployed returns the newest manifest.
func (p *plane) deployed() *site.Manifest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) == 0 {
		p.t.Fatal("nothing was published")
	}
	return p.kept[len(p.kept)-1]
}

// blob returns a blob of the bucket.
func (p *plane) blob(h site.Hash) []byte {
	b, err := os.ReadFile(filepath.Join(p.dir, h.String()))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}
