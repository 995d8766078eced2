package edge

import (
	"slices"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// edited returns the page with its headers as the site's rules want them. The
// page itself stays as it is.
func (g *page) edited(edits []site.HeaderEdit) *page {
	if len(edits) == 0 {
		return g
	}
	out := *g
	for _, e := range edits {
		out.edits += 64
		for _, v := range e.Values {
			out.edits += int64(len(v)) + 16
		}
		switch e.Name {
		case "Server-Timing":
			out.ownTiming = true
		case "Content-Type":
			if out.contentType = site.DefaultContentType; len(e.Values) > 0 {
				out.contentType = e.Values[0] // of the parts of a multipart body
			}
		}
	}
	for i, v := range out.variants {
		if v != nil {
			own := *v
			own.ok, own.notModified = editFields(v.ok, edits), editFields(v.notModified, edits)
			out.variants[i] = &own
		}
	}
	return &out
}

// miss makes the page, which nobody has seen yet, one that is sent with status
// 404: nothing in it is for a cache.
func (g *page) miss() {
	for _, v := range g.variants {
		if v != nil {
			v.ok = append(g.entity(v), Field{"Cache-Control", valueNoStore})
		}
	}
}

// edit changes the answer's own fields as the site's rules want them.
func (a *Answer) edit(edits []site.HeaderEdit) {
	if len(edits) == 0 {
		return
	}
	a.Head = editFields(a.Head, edits)
	a.ownTiming = slices.ContainsFunc(edits, func(e site.HeaderEdit) bool { return e.Name == "Server-Timing" })
}

// editFields returns fields with edits applied to them.
func editFields(fields []Field, edits []site.HeaderEdit) []Field {
	out := append(make([]Field, 0, len(fields)+len(edits)), fields...)
	own := len(fields) // those behind are of edits, which have each name once
	for _, e := range edits {
		i := slices.IndexFunc(out[:own], func(f Field) bool { return f.Name == e.Name })
		switch {
		case len(e.Values) > 0 && i >= 0:
			out[i].Value = e.Values
		case len(e.Values) > 0:
			out = append(out, Field{e.Name, e.Values})
		case i >= 0 && e.Name == "Content-Type":
			out[i].Value = nil // where it is not named at all, net/http guesses
		case i >= 0:
			out = slices.Delete(out, i, i+1)
			own--
		}
	}
	return out
}
