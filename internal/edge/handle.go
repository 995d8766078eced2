package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Answer finds what to send for a request. It always does: what goes wrong is
// an answer too.
func (e *Edge) Answer(ctx context.Context, q *Request) (a Answer) {
	a.edge, a.began = e, sinceStart()
	e.answer(ctx, q, &a)
	if (a.Result == ResultMemory || a.Result == ResultDisk) && e.origin.down.Load() {
		a.Result = ResultStale
	}
	if q.Method == http.MethodHead {
		a.text, a.parts, a.whole = nil, nil, false
	}
	e.metrics.answered(q, &a)
	return a
}

// answer is the pipeline: host, project, access, path, file, head, bytes.
func (e *Edge) answer(ctx context.Context, q *Request, a *Answer) {
	h, v, from, err := e.resolver.find(ctx, q.Host)
	a.Result = from
	if err != nil {
		e.noHost(q, a, err)
		return
	}
	a.view, a.Noindex = v, v.preview
	if n := v.refusal(); n != nil {
		a.notice(q, n)
		return
	}
	if v.route.RedirectTo != "" {
		e.redirectHost(q, a, v.route.RedirectTo)
		return
	}
	if access := v.protection(); access != nil && !e.admit(ctx, q, a, v.route.Host, access) {
		return
	}
	if v.route.Deployment == "" {
		a.notice(q, noticeNoDeploy)
		return
	}
	if g := e.prepared(q, v); g != nil {
		e.serve(ctx, q, a, g)
	} else {
		e.route(ctx, q, a, v)
	}
	if h.stale(v) && (a.Result == ResultMemory || a.Result == ResultDisk) {
		a.Result = ResultStale
	}
}

// route finds what the deployment answers at a path that is not among the
// prepared pages.
func (e *Edge) route(ctx context.Context, q *Request, a *Answer, v *hostView) {
	if _, err := site.DecodePath(q.Path); err != nil {
		a.notice(q, noticeBadRequest)
		return
	}
	m, from, err := e.manifests.get(ctx, v.deployment)
	a.Result = max(a.Result, from)
	if err != nil {
		e.failed(q, a, err)
		return
	}
	asked := site.Request{Method: q.Method, Host: v.route.Host, Path: q.Path, Query: q.Query, Accept: q.Accept, SecFetchDest: q.SecFetchDest}
	d := m.Decide(&asked)
	of := v.deployment.key
	if d.Outcome == site.Shell || d.Outcome == site.Missing {
		if f, earlier, err := e.grace(ctx, v, d.Path); earlier != nil {
			d.Find(f, d.Path)
			of = earlier.key
		} else if err != nil && d.Asset {
			// It may be there: a failure is not an absence.
			e.failed(q, a, err)
			return
		}
	}
	e.execute(ctx, q, a, v, of, &d)
}

// execute answers as it was decided. The file is one of the deployment of.
func (e *Edge) execute(ctx context.Context, q *Request, a *Answer, v *hostView, of deploymentKey, d *site.Decision) {
	switch d.Outcome {
	case site.Redirected, site.Moved:
		a.Status, a.Head = d.Status, headRedirect
		a.edit(d.HeaderEdits())
		a.Extra = []Field{{"Location", one(d.Location)}}
	case site.Options:
		a.Status, a.Head = d.Status, headOptions
		a.edit(d.HeaderEdits())
	case site.NotAllowed:
		a.notice(q, noticeMethod)
	case site.Served, site.Shell:
		e.serve(ctx, q, a, e.pageOf(v, of, d))
	case site.Missing:
		if d.HasFile {
			e.serveMissing(ctx, q, a, e.pageOf(v, of, d))
			return
		}
		a.notice(q, noticeNotFound)
		a.edit(d.HeaderEdits())
	default:
		a.notice(q, noticeBadRequest)
	}
}

var headOptions = []Field{{"Allow", valueAllow}, {"Cache-Control", valueRevalidate}}

// redirectHost sends a request to the other host that answers for this one.
func (e *Edge) redirectHost(q *Request, a *Answer, to string) {
	scheme, port := "http://", ""
	if q.TLS {
		scheme = "https://"
	}
	if i := strings.LastIndexByte(q.Host, ':'); i >= 0 {
		port = q.Host[i:]
	}
	path := q.Path
	if path == "" || path[0] != '/' {
		path = "/"
	}
	a.redirect(http.StatusPermanentRedirect, scheme+to+port+path, q.Query)
}

func (a *Answer) redirect(status int, location, query string) {
	if query != "" {
		location += "?" + query
	}
	a.Status, a.Head = status, headRedirect
	a.Extra = []Field{{"Location", one(location)}}
}

var headRedirect = []Field{{"Cache-Control", valueRevalidate}, {"Content-Length", one("0")}}

// refusal returns why a host is not served at all. What is not known to be
// allowed is refused.
func (v *hostView) refusal() *notice {
	if v.route.Gone {
		return noticeGone
	}
	switch v.project.record.value.Load().State {
	case site.ProjectActive:
		return nil
	case site.ProjectDeleted:
		return noticeGone
	}
	return noticeSuspended
}

// noHost answers for a host that has no route, or whose route can't be had.
func (e *Edge) noHost(q *Request, a *Answer, err error) {
	switch {
	case !errors.Is(err, errNoRoute):
		if !errors.Is(err, errBusy) {
			e.logFailure(q, err)
		}
		if errors.Is(err, errProject) {
			a.notice(q, noticeStorage)
			return
		}
		a.notice(q, noticeBusy)
	case e.resolver.belowBase(q.Host):
		a.notice(q, noticeNoSite)
	case q.ProtoMajor < 2:
		a.notice(q, noticeWrongServer)
	default:
		// HTTP/2 and HTTP/3 have no such header, and other requests of the
		// connection may be right here.
		a.notice(q, noticeMisdirected)
	}
}

// failed answers where the bucket could not be read, or what it holds is wrong.
func (e *Edge) failed(q *Request, a *Answer, err error) {
	a.Result = ResultError
	e.logFailure(q, err)
	a.notice(q, noticeStorage)
}

// logFailure logs one failure a second: an outage fails every request alike.
func (e *Edge) logFailure(q *Request, err error) {
	if errors.Is(err, context.Canceled) {
		return // the client left
	}
	e.failures.Do(func() {
		e.log.Error("a request could not be answered", slog.String("host", q.Host), slog.String("path", q.Path), slog.Any("error", err))
	})
}

// notice makes the answer one of the edge's own pages.
func (a *Answer) notice(q *Request, n *notice) {
	form := n.in(q)
	a.Status, a.Head, a.text = n.status, form.head, form.body
}
