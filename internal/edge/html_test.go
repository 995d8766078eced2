package edge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestHTMLHandlingRedirectsOnceToWhatServes asks for every form of every path of
// random small sites: an answer is a file, a 404, or one redirect to an address
// that serves. Which file it is, the tests of package site say.
func TestHTMLHandlingRedirectsOnceToWhatServes(t *testing.T) {
	b := newBucket(t)
	e := newEdge(t, b)
	b.project(site.Project{})
	random := rand.New(rand.NewPCG(3, 4))
	names := []string{"a", "b c", "index", "a.html", "index.html", "b c.html", "é.html"}
	var paths, requests []string
	for _, n := range names {
		paths = append(paths, "/"+n)
		for _, n2 := range names {
			paths = append(paths, "/"+n+"/"+n2)
		}
	}
	for _, p := range paths {
		p = strings.TrimSuffix(strings.TrimSuffix(p, ".html"), "/index")
		for _, suffix := range []string{"", "/", ".html", "/index", "/index.html"} {
			requests = append(requests, site.CanonicalPath("/"+strings.TrimPrefix(p, "/")+suffix))
		}
	}
	slices.Sort(requests)
	requests = slices.Compact(requests)
	ask := func(host, path string) (int, string, string) {
		a := e.Answer(context.Background(), &edge.Request{Method: http.MethodGet, Host: host, Path: path})
		w := &keeper{header: http.Header{}}
		if err := a.Write(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		return w.status, w.header.Get("Location"), w.body.String()
	}
	modes := []site.HTMLHandling{site.HTMLAuto, site.HTMLForce, site.HTMLDrop, site.HTMLNone}
	for n := range 24 {
		all := files{}
		for _, p := range paths {
			if random.IntN(3) == 0 {
				all[p] = file{body: p}
			}
		}
		deployment, host := fmt.Sprintf("d%d", n), fmt.Sprintf("s%d.example.test", n)
		b.upload(deployment, site.Meta{HTMLHandling: modes[n%len(modes)], NotFound: site.NotFoundNone}, all)
		b.route(site.Route{Host: host, Deployment: deployment})
		reached := map[string]bool{}
		for _, request := range requests {
			status, location, body := ask(host, request)
			if status == http.StatusTemporaryRedirect {
				if status, _, body = ask(host, location); status != http.StatusOK {
					t.Fatalf("%v: %s leads to %s, which is a %d", modes[n%len(modes)], request, location, status)
				}
			}
			switch status {
			case http.StatusOK:
				reached[body] = true
			case http.StatusNotFound:
			default:
				t.Fatalf("%s: %d", request, status)
			}
		}
		for p := range all {
			if !reached[p] {
				t.Errorf("%v: nothing leads to %s", modes[n%len(modes)], p)
			}
		}
	}
}

// keeper is a ResponseWriter that keeps what is written.
type keeper struct {
	header http.Header
	status int
	body   strings.Builder
}

func (k *keeper) Header() http.Header         { return k.header }
func (k *keeper) WriteHeader(status int)      { k.status = status }
func (k *keeper) Write(b []byte) (int, error) { return k.body.Write(b) }
