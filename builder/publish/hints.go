package publish

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// maxHead is how much of a page is looked at for early hints, in bytes.
const maxHead = 64 << 10

// isPage reports whether a file is HTML.
func isPage(name string) bool {
	return strings.HasPrefix(site.ContentType("/"+name), "text/html")
}

// hintsOf finds what a page preloads of its own site, as values of Link: the
// links of its head with rel preload and modulepreload. What is not understood is
// left out; the page itself still says it.
func hintsOf(page []byte) (hints []string) {
	z := html.NewTokenizer(bytes.NewReader(page))
	skipped := 0 // how deep in what a browser does not load
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return hints
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken && kind != html.EndTagToken {
			continue
		}
		name, more := z.TagName()
		tag := atom.Lookup(name)
		switch {
		case tag == atom.Template || tag == atom.Noscript:
			switch {
			case kind == html.StartTagToken:
				skipped++
			case kind == html.EndTagToken && skipped > 0:
				skipped--
			}
		case skipped > 0:
		case kind == html.EndTagToken:
			if tag == atom.Head {
				return hints
			}
		case tag == atom.Base:
			return nil // links are relative to something else
		case tag == atom.Link && more:
			hint := hintOf(attributes(z))
			if hint == "" || slices.Contains(hints, hint) {
				continue
			}
			if hints = append(hints, hint); len(hints) == site.MaxHints {
				return hints
			}
		case !inHead(tag):
			return hints // the body has begun
		}
	}
}

// inHead reports whether an element may stand in a page's head.
func inHead(tag atom.Atom) bool {
	switch tag {
	case atom.Html, atom.Head, atom.Title, atom.Meta, atom.Link, atom.Script, atom.Style:
		return true
	}
	return false
}

// attributes reads those of the current tag; the first of a name counts.
func attributes(z *html.Tokenizer) map[string]string {
	all := map[string]string{}
	for {
		name, value, more := z.TagAttr()
		if _, ok := all[string(name)]; !ok {
			all[string(name)] = string(value)
		}
		if !more {
			return all
		}
	}
}

// hintOf makes a value of Link of a link's attributes, or "".
func hintOf(a map[string]string) string {
	rel := ""
	for word := range strings.FieldsSeq(strings.ToLower(a["rel"])) {
		if word == "preload" || word == "modulepreload" {
			rel = word
		}
	}
	_, responsive := a["imagesrcset"] // which image it is depends on the screen
	_, disabled := a["disabled"]
	if rel == "" || rel == "preload" && a["as"] == "" || responsive || disabled {
		return ""
	}
	hint := "<" + target(a["href"]) + ">; rel=" + rel
	for _, name := range []string{"as", "type", "media", "integrity", "fetchpriority", "referrerpolicy"} {
		if value := strings.TrimSpace(a[name]); value != "" {
			hint += "; " + name + `="` + value + `"`
		}
	}
	if value, ok := a["crossorigin"]; ok {
		hint += "; crossorigin"
		if strings.EqualFold(value, "use-credentials") {
			hint += "=use-credentials"
		}
	}
	if site.CheckHint(hint) != nil {
		return ""
	}
	return hint
}

// target is an address as a browser sends it: without white space around it and
// without its fragment, encoded.
func target(href string) string {
	const digits = "0123456789ABCDEF"
	href, _, _ = strings.Cut(strings.Trim(href, " \t\r\n\f"), "#")
	var b strings.Builder
	for i := range len(href) {
		if c := href[i]; c == ' ' || c >= 0x7f {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
