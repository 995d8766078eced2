package publish

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// reset cuts a request's connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}

func smallSite(t testing.TB) string {
	files := map[string]string{"index.html": "<h1>hi</h1>", "large.bin": noise(site.ChunkSize + 5)}
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		files[n+".html"] = strings.Repeat(n+" ", 2000)
	}
	return tree(t, files)
}

// Every request fails twice, in each of the ways in which one may, before it
// goes through.
func TestRunSurvivesFaults(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter){
		"500":               func(w http.ResponseWriter) { problem(w, 500, "oops") },
		"502 without words": func(w http.ResponseWriter) { w.WriteHeader(502) },
		"503":               func(w http.ResponseWriter) { problem(w, 503, "busy") },
		"429":               func(w http.ResponseWriter) { problem(w, 429, "slow down") },
		"reset":             reset,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlane(t)
			var mu sync.Mutex
			failed := map[string]int{}
			p.fault = func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				key := r.Method + r.URL.Path
				failed[key]++
				n := failed[key]
				mu.Unlock()
				if n <= 2 {
					fault(w)
				}
				return n <= 2
			}
			dir := smallSite(t)
			if _, err := p.run(t, dir, nil); err != nil {
				t.Fatal(err)
			}
			p.check(t, dir)
		})
	}
}

func TestExpiredURLsAreAskedForAgain(t *testing.T) {
	p := newPlane(t)
	p.valid = -time.Second
	var rounds atomic.Int32
	p.fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/uploads") && rounds.Add(1) == 3 {
			p.mu.Lock()
			p.valid = time.Minute
			p.mu.Unlock()
		}
		return false
	}
	dir := smallSite(t)
	if _, err := p.run(t, dir, nil); err != nil {
		t.Fatal(err)
	}
	p.check(t, dir)
	if rounds.Load() < 4 {
		t.Errorf("only %d rounds", rounds.Load())
	}
}

func TestABlobThatNeverArrivesEndsTheRun(t *testing.T) {
	p := newPlane(t)
	p.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/blobs/") {
			problem(w, http.StatusForbidden, "This URL is not for you.")
			return true
		}
		return false
	}
	_, err := p.run(t, smallSite(t), nil)
	if err == nil || !strings.Contains(err.Error(), "This URL is not for you.") || !strings.Contains(err.Error(), "can't be uploaded") {
		t.Errorf("error %v", err)
	}
	if p.wasPublished() {
		t.Error("it was published all the same")
	}
}

func TestARefusedBlobEndsTheRunAtOnce(t *testing.T) {
	p := newPlane(t)
	p.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/blobs/") {
			problem(w, http.StatusRequestEntityTooLarge, "Too large.")
			return true
		}
		return false
	}
	if _, err := p.run(t, smallSite(t), nil); err == nil {
		t.Error("no error")
	}
	if n := p.called("POST /deployments/d1/uploads"); n != 1 {
		t.Errorf("asked %d times for uploads", n)
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	for status, detail := range map[int]string{401: "Your token was revoked.", 404: "There is no deployment d1.", 409: "The deployment has ended.", 422: "The file /x is too large."} {
		p := newPlane(t)
		p.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/manifest") {
				problem(w, status, detail)
				return true
			}
			return false
		}
		_, err := p.run(t, smallSite(t), nil)
		var api *APIError
		if !errors.As(err, &api) || api.Status != status || !strings.Contains(err.Error(), detail) {
			t.Errorf("%d: error %v", status, err)
		}
		if n := p.called("PUT /deployments/d1/manifest"); n != 1 {
			t.Errorf("%d: tried %d times", status, n)
		}
	}
}

func TestRunEndsWhenItIsCanceled(t *testing.T) {
	p := newPlane(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/blobs/") {
			cancel()
			problem(w, 503, "busy")
			return true
		}
		return false
	}
	_, err := Run(ctx, p.client(), Options{Dir: smallSite(t), Project: "p1", Deployment: "d1"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// rewrite gives a file other bytes of the same length and keeps its time, which
// only the hash can tell.
func rewrite(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("Z", int(info.Size()))), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatChangeAreNoticed(t *testing.T) {
	grow := func(t *testing.T, path string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("more")
			f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	link := func(t *testing.T, path string) {
		remove(t, path)
		if err := os.Symlink("/etc/passwd", path); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*testing.T, string){"grown": grow, "rewritten": rewrite, "removed": remove, "now a link out": link} {
		for _, file := range []string{"a.html", "large.bin"} {
			for _, call := range []string{"known", "uploads"} {
				t.Run(name+" "+file+" before "+call, func(t *testing.T) {
					p := newPlane(t)
					dir := smallSite(t)
					var once sync.Once
					p.fault = func(_ http.ResponseWriter, r *http.Request) bool {
						if strings.HasSuffix(r.URL.Path, "/"+call) {
							once.Do(func() { change(t, filepath.Join(dir, file)) })
						}
						return false
					}
					_, err := p.run(t, dir, nil)
					var changed *ChangedError
					if name == "now a link out" && err != nil && strings.Contains(err.Error(), file) {
						return // refused as what it is
					}
					if !errors.As(err, &changed) || changed.Name != file || !strings.Contains(err.Error(), "deploy again") {
						t.Errorf("error %v", err)
					}
					if p.wasPublished() {
						t.Error("it was published")
					}
				})
			}
		}
	}
}

// The project's last deployment was deleted between the question and the upload,
// and its variants with it.
func TestLostVariantsAreMadeAnew(t *testing.T) {
	p := newPlane(t)
	dir := smallSite(t)
	if _, err := p.run(t, dir, nil); err != nil {
		t.Fatal(err)
	}
	f, _ := p.deployed().Lookup("/a.html")
	var once sync.Once
	p.fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/manifest") {
			once.Do(func() {
				for _, e := range []site.Encoding{site.Brotli, site.Zstd} {
					if err := os.Remove(filepath.Join(p.dir, f.Blob(e).SHA256().String())); err != nil {
						t.Error(err)
					}
				}
			})
		}
		return false
	}
	result, err := p.run(t, dir, nil)
	if err != nil || result.CompressedFiles != 1 {
		t.Fatal(result, err)
	}
	p.check(t, dir)
}
