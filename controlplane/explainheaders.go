package controlplane

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// allowed is what may be done with a file.
const allowed = "GET, HEAD, OPTIONS"

func header(name string, values ...string) ExplainedHeader {
	if values == nil {
		values = []string{} // a list in JSON, never null
	}
	return ExplainedHeader{Name: name, Values: values, Lines: []RuleLine{}}
}

// send says in which form a file is sent, and with which headers.
func (x *explainer) send(d *site.Decision, of string) {
	f := d.File
	encoding, ok := site.Negotiate(x.AcceptEncoding, f.Has)
	if !ok && d.Outcome != site.Missing {
		x.decide(http.StatusNotAcceptable, "Not acceptable")
		return
	}
	body := f.Blob(encoding)
	x.File = &ExplainedFile{
		Path: f.Path(), Deployment: of, ContentType: f.ContentType(), Encoding: encoding.String(),
		Size: body.Size(), SHA256: body.SHA256(), Immutable: f.Immutable(), Encodings: []string{}, EarlyHints: []string{},
	}
	if d.Status == http.StatusOK && x.Method == http.MethodGet {
		x.File.EarlyHints = append(x.File.EarlyHints, f.Hints()...)
	}
	for e := site.Brotli; e <= site.Identity; e++ {
		if f.Has(e) {
			x.File.Encodings = append(x.File.Encodings, e.String())
		}
	}
	x.Status, x.Answer = d.Status, fmt.Sprintf("%d, %s", d.Status, f.Path())
	if encoding != site.Identity {
		x.Answer += " in " + encoding.String()
	}
	all := []ExplainedHeader{
		header("Content-Type", f.ContentType()),
		header("Content-Length", fmt.Sprint(body.Size())),
		header("X-Content-Type-Options", "nosniff"),
	}
	if f.HasVariants() {
		all = append(all, header("Vary", "Accept-Encoding"))
	}
	if encoding != site.Identity {
		all = append(all, header("Content-Encoding", encoding.String()))
	}
	caching := site.CacheRevalidate
	switch {
	case d.Outcome == site.Missing:
		caching = site.CacheNever
	case f.Immutable():
		caching = site.CacheImmutable
	}
	if d.Outcome != site.Missing {
		all = append(all, header("ETag", `"`+body.SHA256().String()+`"`), header("Accept-Ranges", "bytes"))
	}
	x.Headers = x.edited(d, append(all, header("Cache-Control", caching))...)
}

// noticeHeaders are the headers of the edge's own pages.
func (x *explainer) noticeHeaders(status int) []ExplainedHeader {
	contentType := "text/plain; charset=utf-8"
	html := site.AcceptsHTML(x.accept)
	if html {
		contentType = "text/html; charset=utf-8"
	}
	all := []ExplainedHeader{header("Content-Type", contentType), header("Cache-Control", site.CacheNever), header("X-Content-Type-Options", "nosniff")}
	if html {
		all = append(all, header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"))
	}
	switch status {
	case http.StatusMethodNotAllowed:
		all = append(all, header("Allow", allowed))
	case http.StatusNotAcceptable:
		all = append(all, header("Vary", "Accept-Encoding"))
	case http.StatusBadGateway:
		all = append(all, header("Retry-After", "5"))
	}
	return x.guarded(all)
}

// edited returns headers as the site's rules, and then the platform, want them.
func (x *explainer) edited(d *site.Decision, all ...ExplainedHeader) []ExplainedHeader {
	rules := d.HeaderRules()
	for _, e := range d.HeaderEdits() {
		h := header(e.Name, e.Values...)
		for _, r := range rules {
			for _, f := range r.Fields {
				if f.Name == e.Name {
					h.Lines = append(h.Lines, x.line(site.HeadersName, f.Line))
				}
			}
		}
		switch i := slices.IndexFunc(all, func(h ExplainedHeader) bool { return h.Name == e.Name }); {
		case i >= 0:
			all[i] = h
		case len(e.Values) > 0:
			all = append(all, h)
		}
	}
	return x.guarded(all)
}

// guarded returns headers with what no rule of the site's changes.
func (x *explainer) guarded(all []ExplainedHeader) []ExplainedHeader {
	set := func(name, value string) {
		all = slices.DeleteFunc(all, func(h ExplainedHeader) bool { return h.Name == name })
		all = append(all, header(name, value))
	}
	if x.noindex {
		set("X-Robots-Tag", "noindex")
	}
	if !x.protected {
		return all
	}
	all = slices.DeleteFunc(all, func(h ExplainedHeader) bool { return site.OverridesCaching(h.Name) })
	never := slices.ContainsFunc(all, func(h ExplainedHeader) bool {
		return h.Name == "Cache-Control" && len(h.Values) == 1 && h.Values[0] == site.CacheNever
	})
	if !never {
		set("Cache-Control", site.CachePrivate)
	}
	return all
}
