package site

import (
	"net/http"
	"slices"
	"strings"
)

// Request is what a decision depends on besides the deployment.
type Request struct {
	Method       string
	Host         string // in normal form
	Path         string // as sent, without the query
	Query        string // as sent, without the question mark
	Accept       string
	SecFetchDest string
}

// Reads reports whether the request asks for a file, and not for anything to be
// done.
func (q *Request) Reads() bool { return q.Method == http.MethodGet || q.Method == http.MethodHead }

// Outcome says what kind of answer a request gets.
type Outcome uint8

// The outcomes.
const (
	Malformed  Outcome = iota // 400: the path can't be meant
	Redirected                // by a rule
	Moved                     // 307: the file answers at another path
	Served                    // 200: the file
	Options                   // 204: what may be done with the file
	NotAllowed                // 405: what is asked for can't be done with a file
	Shell                     // 200: nothing is found, and a page answers for all that isn't
	Missing                   // 404: nothing is found; the file is the page that says so, if there is one
)

// Decision is what a deployment answers to a request, and why.
type Decision struct {
	Outcome  Outcome
	Status   int
	Path     string // decoded; where a rule rewrote it, what it became
	Location string // of Redirected and Moved
	File     File   // of Moved, Served, Options, NotAllowed and Shell; perhaps of Missing
	HasFile  bool
	Rewrite  bool     // a rule rewrote the path
	Mode     NotFound // what counted where nothing is found
	Asset    bool     // nothing is found, and a page would not do
	Headers  RuleSet  // the rules of _headers that the URL matches

	m    *Manifest
	q    Request
	rule int // the number of the rule of _redirects that matched; -1: none did
}

// Decide finds what a deployment answers to a request. Redirects come first,
// then files, then what the settings say of paths that are not found. (Files of
// earlier deployments come between the last two: where the outcome is Shell or
// Missing an edge looks for those, and tells by [Decision.Find].)
func (m *Manifest) Decide(q *Request) Decision {
	d := Decision{m: m, q: *q, rule: -1}
	var err error
	if d.Path, err = DecodePath(q.Path); err != nil {
		d.Outcome, d.Status = Malformed, http.StatusBadRequest
		return d
	}
	var match matcher
	d.Headers = m.headers.matching(&match, q.Host, q.Path)
	if d.rule = m.redirects.find(&match, q.Path); d.rule >= 0 {
		rule := &m.redirects.rules[d.rule]
		if rule.to.filled(match.captures[:]) > maxFilledTarget {
			d.Outcome, d.Status = Malformed, http.StatusBadRequest
			return d
		}
		if rule.status != http.StatusOK {
			d.Outcome, d.Status, d.Location = Redirected, int(rule.status), rule.location(match.captures[:], q.Query)
			return d
		}
		if !d.rewrite(rule, match.captures[:]) {
			return d
		}
	}
	if r := m.Resolve(d.Path); r.Found {
		d.Find(r.File, r.Home)
		return d
	}
	d.miss(&match)
	return d
}

// maxFilledTarget is how long a rule's target may become, in bytes before
// anything is encoded: a rule that names what it matched a hundred times makes a
// large answer of a small request.
const maxFilledTarget = 2 * MaxTargetLength

// rewrite takes over a rule's path. It reports false where that can't be meant.
func (d *Decision) rewrite(rule *redirect, captures []string) bool {
	path, err := DecodePath(rule.location(captures, ""))
	if err != nil {
		d.Outcome, d.Status = Malformed, http.StatusBadRequest
		return false
	}
	d.Path, d.Rewrite = path, true
	return true
}

// Find decides on a file that was found, and answers at the decoded path home.
func (d *Decision) Find(f File, home string) {
	d.File, d.HasFile, d.Mode, d.Asset = f, true, "", false
	switch canonical := CanonicalPath(home); {
	case d.q.Method == http.MethodOptions:
		d.Outcome, d.Status = Options, http.StatusNoContent
	case !d.q.Reads():
		d.Outcome, d.Status = NotAllowed, http.StatusMethodNotAllowed
	case canonical != d.q.Path && !d.Rewrite:
		d.Outcome, d.Status, d.Location = Moved, http.StatusTemporaryRedirect, canonical
		if d.q.Query != "" {
			d.Location += "?" + d.q.Query
		}
	default:
		d.Outcome, d.Status = Served, http.StatusOK
	}
}

// miss decides on a path that the deployment doesn't have.
func (d *Decision) miss(match *matcher) {
	m, q := d.m, &d.q
	d.Outcome, d.Status = Missing, http.StatusNotFound
	d.Asset = IsAssetExtension(d.Path) || IsSubresource(q.SecFetchDest)
	page := q.Reads() && !d.Asset && AcceptsHTML(q.Accept)
	if page && d.rule < 0 {
		if i := m.redirects.findShell(match, q.Path); i >= 0 {
			if path, err := DecodePath(m.redirects.rules[i].location(nil, "")); err == nil {
				if r := m.Resolve(path); r.Found {
					d.rule, d.Mode = i, NotFoundSPA
					d.Outcome, d.Status, d.File, d.HasFile = Shell, http.StatusOK, r.File, true
					return
				}
			}
		}
	}
	d.Mode = m.NotFoundMode()
	switch d.Mode {
	case NotFoundSPA:
		if f, ok := m.Shell(); ok && page {
			d.Outcome, d.Status, d.File, d.HasFile = Shell, http.StatusOK, f, true
		}
	case NotFoundPage:
		d.File, d.HasFile = m.NotFoundPage(d.Path)
	}
}

// IsSubresource reports whether a Sec-Fetch-Dest is that of something other than
// a page: the shell of an application is no script.
func IsSubresource(dest string) bool {
	switch dest {
	case "", "document", "empty", "iframe", "frame", "fencedframe", "embed", "object":
		return false
	}
	return true
}

// Asked returns the request that was decided on.
func (d *Decision) Asked() *Request { return &d.q }

// Rule returns the rule of _redirects that decided.
func (d *Decision) Rule() (Redirect, bool) {
	if d.rule < 0 {
		return Redirect{}, false
	}
	return d.m.redirects.rules[d.rule].show(), true
}

// Placeholder is a "*" (named splat) or a ":name" of a rule with what it stands
// for.
type Placeholder struct {
	Name  string
	Value string
}

// Placeholders returns what the placeholders of the rule of _redirects that
// decided stand for, as they were sent; none where the rule has none.
func (d *Decision) Placeholders() []Placeholder {
	if d.rule < 0 {
		return nil
	}
	var m matcher
	from := &d.m.redirects.rules[d.rule].from
	if !m.match(from, d.q.Path, '/') {
		return nil
	}
	var all []Placeholder
	for i := range len(from.parts) - 1 {
		start, end := nextPlaceholder(from.text, int(from.parts[i].end), true)
		name := splatName
		if from.text[start] != '*' {
			name = from.text[start+1 : end]
		}
		all = append(all, Placeholder{name, m.captures[i]})
	}
	return all
}

// HeaderRules returns the rules of _headers that the URL matches.
func (d *Decision) HeaderRules() []HeaderRule {
	var rules []HeaderRule
	for i := range d.Headers.all() {
		rules = append(rules, d.m.headers.rules[i].show())
	}
	return rules
}

// HeaderEdits works out what those rules do. What an edge sends for an error of
// its own is not edited, and what is not found now may be found soon: rules
// don't make a cache keep that.
func (d *Decision) HeaderEdits() []HeaderEdit {
	if d.Headers.Empty() {
		return nil
	}
	edits := d.m.headers.edits(d.Headers, d.q.Host, d.q.Path)
	if d.Outcome == Missing {
		return shortLived(edits)
	}
	return edits
}

// shortLived takes out of edits what caches go by.
func shortLived(edits []HeaderEdit) []HeaderEdit {
	return slices.DeleteFunc(edits, func(e HeaderEdit) bool { return e.Name == "Cache-Control" || OverridesCaching(e.Name) })
}

// OverridesCaching reports whether some cache goes by a header, in canonical
// form, rather than by Cache-Control.
func OverridesCaching(name string) bool {
	switch name {
	case "Expires", "Surrogate-Control", "Edge-Control":
		return true
	}
	return strings.HasSuffix(name, "-Cache-Control") // RFC 9213
}

// EditsVary reports whether the edits depend on more than Headers: on what
// placeholders stand for in this URL.
func (d *Decision) EditsVary() bool { return d.m.headers.vary(d.Headers) }

// EditsByHost reports whether Headers would be another set at another host.
func (d *Decision) EditsByHost() bool { return d.m.headers.byHost(d.q.Path) }
