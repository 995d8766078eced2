package edge

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// host is one host that has a route. What requests look at is one value, which
// is replaced as a whole when the route changes.
type host struct {
	name  string
	route held[site.Route]
	view  atomic.Pointer[hostView]
}

// hostView is a host as requests see it: where one look-up leads.
type hostView struct {
	route      *site.Route
	project    *project // none for a tombstone
	deployment deployment
	preview    bool
}

// project is one project's record. It lives as long as a host that refers to
// it.
type project struct {
	id     string
	salt   [16]byte
	record held[site.Project]
}

func newHost(name string) *host {
	h := &host{name: name}
	h.route.key, h.route.kind = site.RouteKey(name), kindRoute
	return h
}

func newProject(id string) *project {
	p := &project{id: id, salt: projectSalt(id)}
	p.record.key, p.record.kind = site.ProjectKey(id), kindProject
	return p
}

// stale reports whether what the host answers with may be old.
func (h *host) stale(v *hostView) bool {
	return h.route.stale.Load() || v.project != nil && v.project.record.stale.Load()
}

// show makes a route what requests see.
func (h *host) show(route *site.Route, p *project) {
	v := &hostView{route: route, project: p, preview: route.Environment != site.Production}
	if route.Deployment != "" {
		v.deployment = newDeployment(route.Project, route.Deployment)
	}
	h.view.Store(v)
}

var hashSeed = maphash.MakeSeed()

func hashString(s string) uint64 { return maphash.String(hashSeed, s) }
