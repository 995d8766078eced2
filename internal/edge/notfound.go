package edge

import (
	"context"
	"errors"
	"io/fs"
	"net/http"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// notFound answers for a path that the deployment doesn't have: from an earlier
// deployment, by the shell of a single-page application, or by a 404 page.
func (e *Edge) notFound(ctx context.Context, q *Request, a *Answer, v *hostView, m *site.Manifest, path string) {
	asset := site.IsAssetExtension(path) || subresource(q.SecFetchDest)
	if f, d, err := e.grace(ctx, v, path); d != nil {
		// Kept under the earlier deployment's name: it must not outlive its grace.
		e.found(ctx, q, a, v.project, d.key, site.Resolution{File: f, Found: true, Home: path})
		return
	} else if err != nil && asset {
		// It may be there: a failure is not an absence.
		e.failed(q, a, err)
		return
	}
	mode := m.NotFoundMode()
	if shell, ok := m.Shell(); ok && mode == site.NotFoundSPA && q.reads() && !asset && acceptsHTML(q.Accept) {
		e.serve(ctx, q, a, e.pageOf(v.project, elsewhere(v, shell), shell))
		return
	}
	if f, ok := m.NotFoundPage(path); ok && mode == site.NotFoundPage {
		e.serveNotFound(ctx, q, a, e.pageOf(v.project, elsewhere(v, f), f))
		return
	}
	a.notice(q, noticeNotFound)
}

// grace finds an immutable file that is missing here in an earlier deployment
// that still counts, so that open tabs keep working across a deploy. The error
// says that one of them could not be read, and none of the others has it.
func (e *Edge) grace(ctx context.Context, v *hostView, path string) (site.File, *deployment, error) {
	var failure error
	for _, previous := range v.route.Previous {
		if !e.config.Now().Before(previous.Until) {
			continue
		}
		d := newDeployment(v.route.Project, previous.Deployment)
		m, _, err := e.manifests.get(ctx, d)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				failure = err
			}
			continue
		}
		if f, ok := m.Lookup(path); ok && f.Immutable() {
			return f, &d, nil
		}
	}
	return site.File{}, nil, failure
}

// elsewhere is the key of a file that answers at other paths than its own: no
// request is sent with a path without the slash in front.
func elsewhere(v *hostView, f site.File) pageKey {
	return pageKey{v.deployment.key, f.Path()[1:]}
}

// serveNotFound sends a page with status 404. Conditions and ranges are for
// what is found; identity is sent even where it is refused.
func (e *Edge) serveNotFound(ctx context.Context, q *Request, a *Answer, g *page) {
	encoding, _ := negotiate(q.AcceptEncoding, g.has)
	variant := g.variants[encoding]
	a.Status, a.page, a.from, a.whole = http.StatusNotFound, g, variant, true
	a.Head = append(g.entity(variant), Field{"Cache-Control", valueNoStore})
	if q.Method == http.MethodHead || variant.blob.Size == 0 {
		a.whole = false
		return
	}
	e.firstChunk(ctx, q, a)
}

// subresource reports whether a Sec-Fetch-Dest is that of something other than
// a page: the shell of an application is no script.
func subresource(dest string) bool {
	switch dest {
	case "", "document", "empty", "iframe", "frame", "fencedframe", "embed", "object":
		return false
	}
	return true
}
