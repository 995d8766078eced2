package site

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of early hints: links to what a page needs, which an edge names in a
// 103 response (RFC 8297) before the page itself.
const (
	MaxHints      = 20  // of one page
	MaxHintLength = 512 // bytes of one
)

var errHint = errors.New("not a link that may be sent as an early hint")

// CheckHint says what is wrong with an early hint: it is one value of a Link
// header, RFC 8288, that preloads something of the same site. An edge sends it as
// it is.
func CheckHint(link string) error {
	rest, ok := strings.CutPrefix(link, "<")
	target, params, found := strings.Cut(rest, ">")
	if len(link) > MaxHintLength || !ok || !found || !hintTarget(target) {
		return errHint
	}
	if params, ok = strings.CutPrefix(params, "; rel=modulepreload"); !ok {
		if params, ok = strings.CutPrefix(params, "; rel=preload"); !ok {
			return errHint
		}
	}
	for params != "" {
		if params, ok = strings.CutPrefix(params, "; "); !ok {
			return errHint
		}
		end := strings.IndexByte(params, ';')
		if end < 0 {
			end = len(params)
		}
		if !hintParam(params[:end]) {
			return errHint
		}
		params = params[end:]
	}
	return nil
}

// hintTarget reports whether a link leads to the same site, as seen from any of
// its pages, and has only what a URL is sent with.
func hintTarget(target string) bool {
	if target == "" || strings.HasPrefix(target, "//") {
		return false
	}
	for i := range len(target) {
		if c := target[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte(unsafeInURL, c) >= 0 {
			return false
		}
	}
	first := target
	if end := strings.IndexAny(target, "/?"); end >= 0 {
		first = target[:end]
	}
	return !strings.Contains(first, ":") // a scheme
}

// hintParam reports whether a parameter says how something is loaded, and
// nothing else.
func hintParam(param string) bool {
	name, value, has := strings.Cut(param, "=")
	switch name {
	case "crossorigin":
		return !has || value == "use-credentials"
	case "as", "fetchpriority", "referrerpolicy", "type", "media", "integrity":
	default:
		return false
	}
	if len(value) < 3 || value[0] != '"' || value[len(value)-1] != '"' {
		return false
	}
	for i := 1; i < len(value)-1; i++ {
		c := value[i]
		if !letter(c) && (c < '0' || c > '9') && strings.IndexByte(" ()+-./:=_", c) < 0 {
			return false
		}
	}
	return true
}

// hintTable holds the early hints of a manifest's pages. Most pages of a site
// share theirs, so each link stands there once.
type hintTable struct {
	text  string   // all links, one after the other
	ends  []uint32 // by link
	files []uint32 // those that have hints, ascending
	last  []uint32 // by such file: where its part of links ends
	links []uint32
}

// addHints puts the hints of entries, which are sorted, into the manifest.
func (m *Manifest) addHints(entries []FileEntry) error {
	t := &m.hints
	known := map[string]uint32{}
	var text []byte
	for i := range entries {
		e := &entries[i]
		if len(e.Hints) == 0 {
			continue
		}
		if len(e.Hints) > MaxHints {
			return fmt.Errorf("file %q has %d early hints, the most is %d", e.Path, len(e.Hints), MaxHints)
		}
		for _, link := range e.Hints {
			n, ok := known[link]
			if !ok {
				if err := CheckHint(link); err != nil {
					return fmt.Errorf("file %q: %q is %w", e.Path, link, err)
				}
				n = uint32(len(t.ends))
				known[link] = n
				text = append(text, link...)
				t.ends = append(t.ends, uint32(len(text)))
			}
			t.links = append(t.links, n)
		}
		t.files, t.last = append(t.files, uint32(i)), append(t.last, uint32(len(t.links)))
	}
	t.text = string(text)
	return nil
}

// memory is how many bytes the table takes.
func (t *hintTable) memory() int {
	return len(t.text) + 4*(len(t.ends)+len(t.files)+len(t.last)+len(t.links))
}
