package edge

import (
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// pageKey names a page by the path at which it answers, as sent. No rule
// redirects or rewrites that path: what one does is decided anew each time.
type pageKey struct {
	deployment deploymentKey
	path       string
}

func (k pageKey) shard() uint64 { return hashString(k.path) }

// elsewhereKey names a page that answers at more paths than its own: the shell
// of an application, a 404 page, what a rule rewrites to, or a file of an
// earlier deployment. Paths are no part of it, as anybody can think of more.
type elsewhereKey struct {
	by      deploymentKey // whose rules edit its headers
	of      deploymentKey // whose file it is
	file    int
	missing bool // it is sent with status 404
	headers site.RuleSet
}

func (k elsewhereKey) shard() uint64 {
	return binary.LittleEndian.Uint64(k.of[:]) + uint64(k.file) + k.headers[0]
}

// prepared returns the page that answers a request, if that is known already.
func (e *Edge) prepared(q *Request, v *hostView) *page {
	g, ok := e.pages.get(pageKey{v.deployment.key, q.Path})
	if !ok || !q.reads() {
		return nil
	}
	if g.hosts != nil {
		return g.hosts.get(v.route.Host)
	}
	return g
}

// pageOf returns the prepared page of a file that was decided on.
func (e *Edge) pageOf(v *hostView, of deploymentKey, d *site.Decision) *page {
	if d.Outcome == site.Served && !d.Rewrite && of == v.deployment.key {
		return e.pageAtHome(v, d)
	}
	key := elsewhereKey{by: v.deployment.key, of: of, file: d.File.Index(), missing: d.Outcome == site.Missing, headers: d.Headers}
	varies := d.EditsVary()
	if varies {
		key.headers = site.RuleSet{} // prepared without them
	}
	g, ok := e.elsewhere.get(key)
	if !ok {
		g = newPage(v.project, d.File)
		if key.missing {
			g.miss()
		}
		if !varies {
			g = g.edited(d.HeaderEdits())
		}
		e.elsewhere.add(key, g, g.cost()+elsewhereCost)
	}
	if varies {
		g = g.edited(d.HeaderEdits())
	}
	return g
}

// elsewhereCost is what an entry costs besides its page.
const elsewhereCost = 256

// pageAtHome returns the prepared page of a file that is asked for by its own
// address.
func (e *Edge) pageAtHome(v *hostView, d *site.Decision) *page {
	key := pageKey{v.deployment.key, d.Asked().Path}
	holder, ok := e.pages.get(key)
	if ok && holder.hosts == nil {
		return holder
	}
	g := newPage(v.project, d.File).edited(d.HeaderEdits())
	key.path = strings.Clone(key.path) // not to hold the request in memory
	cost := int64(2 * len(key.path))
	switch {
	case ok:
		holder.hosts.add(v.route.Host, g)
	case d.EditsByHost():
		holder = &page{hosts: &hostPages{}}
		holder.hosts.add(v.route.Host, g)
		e.pages.add(key, holder, cost+maxHostPages*g.cost())
	default:
		e.pages.add(key, g, cost+g.cost())
	}
	return g
}

// hostPages are the forms that a page has at several hosts.
type hostPages struct {
	adding sync.Mutex
	pages  atomic.Pointer[map[string]*page] // never written to
}

// maxHostPages is how many hosts one page is kept for.
const maxHostPages = 16

func (h *hostPages) get(host string) *page {
	if pages := h.pages.Load(); pages != nil {
		return (*pages)[host]
	}
	return nil
}

// add keeps a page for one more host; where there are too many, for that alone.
func (h *hostPages) add(host string, g *page) {
	h.adding.Lock()
	defer h.adding.Unlock()
	next := map[string]*page{host: g}
	if pages := h.pages.Load(); pages != nil && len(*pages) < maxHostPages {
		for name, other := range *pages {
			if name != host {
				next[name] = other
			}
		}
	}
	h.pages.Store(&next)
}
