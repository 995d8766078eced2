package edge

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// host is one host that has a route. What requests look at is one value, which
// is replaced as a whole when the route changes.
type host struct {
	name  string
	route held[site.Route]
	view  atomic.Pointer[hostView]
	used  atomic.Uint32 // the edge's minute of the last request
	gone  atomic.Bool   // an operator had it dropped: what is read for it now is not kept

	turning sync.Mutex
	next    atomic.Pointer[site.Route] // will be shown in a moment
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

	counters atomic.Pointer[projectCounters] // found with the first request that is counted
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

func newHostView(route *site.Route, p *project) *hostView {
	v := &hostView{route: route, project: p, preview: route.Environment != site.Production}
	if route.Deployment != "" {
		v.deployment = newDeployment(route.Project, route.Deployment)
	}
	return v
}

// turn makes a view what requests see, unless another route was read since. The
// first view counts in any case: a host that is known has one.
func (h *host) turn(v *hostView) bool {
	h.turning.Lock()
	defer h.turning.Unlock()
	if h.route.value.Load() != v.route && h.view.Load() != nil {
		return false
	}
	h.view.Store(v)
	return true
}

// use notes a request, once a minute.
func (h *host) use(minute uint32) {
	if h.used.Load() != minute {
		h.used.Store(minute)
	}
}

var hashSeed = maphash.MakeSeed()

func hashString(s string) uint64 { return maphash.String(hashSeed, s) }
