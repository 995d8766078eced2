package edge

import (
	"context"
	"errors"
	"io/fs"
	"net/http"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

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

// serveMissing sends the page that says that nothing is found. Conditions and
// ranges are for what is found; identity is sent even where it is refused.
func (e *Edge) serveMissing(ctx context.Context, q *Request, a *Answer, g *page) {
	encoding, _ := site.Negotiate(q.AcceptEncoding, g.has)
	variant := g.variants[encoding]
	a.Status, a.page, a.from, a.whole = http.StatusNotFound, g, variant, true
	a.Head, a.ownTiming = variant.ok, g.ownTiming
	e.firstChunk(ctx, q, a)
}
