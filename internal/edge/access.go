package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// AccessPath is where a protected host takes its password. A file that a
// deployment has there can't be seen while the host is protected.
const AccessPath = "/.mini-vercel/access"

// accessTime is how long a browser is let in after it gave the password.
const accessTime = 24 * time.Hour

// Names of the cookie that lets a browser in. The prefix keeps other hosts from
// setting it (RFC 6265bis section 4.1.3.2); browsers take it on HTTPS only.
const (
	accessCookie      = "__Host-mv_access"
	accessCookiePlain = "mv_access"
)

// mostCookies is how many cookies of one name are looked at.
const mostCookies = 8

// protection returns how a host is protected; nil: it is open.
func (v *hostView) protection() *site.Access {
	access := v.project.record.value.Load().Access
	if access == nil || access.Scope == site.AccessPreviews && !v.preview {
		return nil
	}
	return access
}

// admit reports whether a request for a protected host goes on to the site. If
// it doesn't, the answer is made.
func (e *Edge) admit(ctx context.Context, q *Request, a *Answer, host string, access *site.Access) bool {
	a.Noindex, a.Private = true, true
	if access.Scope != site.AccessPreviews && access.Scope != site.AccessAll || len(access.CookieKey) != site.AccessKeySize {
		// Who may look is not known here, so nobody may.
		a.notice(q, noticeProtected)
		return false
	}
	if q.Path == AccessPath && q.Method == http.MethodPost {
		e.signIn(ctx, q, a, host, access)
		return false
	}
	if token, rest, ok := cutShareToken(q.Query); ok && q.reads() {
		e.openShareLink(q, a, host, access, token, address(q.Path, rest))
		return false
	}
	if !e.hasAccess(q, host, access) {
		e.metrics.access[accessAsked].Inc()
		a.ask(q, askPassword, address(q.Path, q.Query))
		return false
	}
	if q.Path == AccessPath {
		a.seeOther("/")
		return false
	}
	return true
}

// hasAccess reports whether a request shows a good cookie.
func (e *Edge) hasAccess(q *Request, host string, access *site.Access) bool {
	now := e.config.Now()
	for _, token := range cookies(q.Header["Cookie"], cookieName(q)) {
		if _, good := site.CheckAccessToken(access.CookieKey, site.AccessCookie, host, token, now); good {
			return true
		}
	}
	return false
}

// openShareLink takes the token out of the address and turns it into a cookie,
// so that it stands in no history, bookmark or Referer.
func (e *Edge) openShareLink(q *Request, a *Answer, host string, access *site.Access, token, to string) {
	now := e.config.Now()
	expires, good := site.CheckAccessToken(access.CookieKey, site.AccessShare, host, token, now)
	switch {
	case good:
		e.metrics.access[accessShared].Inc()
		a.seeOther(to)
		a.letIn(q, host, access, now, expires)
	case e.hasAccess(q, host, access):
		a.seeOther(to)
	default:
		e.metrics.access[accessShareRefused].Inc()
		a.ask(q, askAfterLink, to)
	}
}

// signIn answers a password.
func (e *Edge) signIn(ctx context.Context, q *Request, a *Answer, host string, access *site.Access) {
	f := q.Form
	switch {
	case f == nil || errors.Is(f.err, errFormSyntax):
		a.notice(q, noticeForm)
		return
	case errors.Is(f.err, errFormSize):
		a.notice(q, noticeFormSize)
		return
	case !f.sameOrigin:
		a.notice(q, noticeForeignForm)
		return
	}
	hash, err := site.ParsePasswordHash(access.PasswordHash)
	if err != nil {
		e.log.Error("no password can be checked: set a new one for the project", slog.String("host", host), slog.Any("error", err))
		a.notice(q, noticeProtected)
		return
	}
	to := returnAddress(f.To)
	now := e.config.Now()
	if wait := e.tries.take(f.client, now); wait > 0 {
		e.metrics.access[accessLimited].Inc()
		a.ask(q, askLater, to)
		a.Extra = append(a.Extra, Field{"Retry-After", one(seconds(wait))})
		return
	}
	good, err := e.checks.check(ctx, hash, f.Password)
	switch {
	case err != nil:
		e.metrics.access[accessBusy].Inc()
		a.ask(q, askBusy, to)
	case !good:
		e.metrics.access[accessWrong].Inc()
		a.ask(q, askAgain, to)
	default:
		e.metrics.access[accessGranted].Inc()
		a.seeOther(to)
		a.letIn(q, host, access, now, now.Add(accessTime))
	}
}

// letIn sets the cookie, for as long as what the browser has shown is good and
// for accessTime at most.
func (a *Answer) letIn(q *Request, host string, access *site.Access, now, until time.Time) {
	if most := now.Add(accessTime); until.After(most) {
		until = most
	}
	cookie := http.Cookie{
		Name: cookieName(q), Value: site.AccessToken(access.CookieKey, site.AccessCookie, host, until),
		Path: "/", MaxAge: max(int(until.Sub(now)/time.Second), 1), HttpOnly: true, Secure: q.TLS, SameSite: http.SameSiteLaxMode,
	}
	a.Extra = append(a.Extra, Field{"Set-Cookie", one(cookie.String())})
}

// seeOther sends a browser on with GET, RFC 9110 section 15.4.4.
func (a *Answer) seeOther(to string) {
	a.Status, a.Head = http.StatusSeeOther, headSeeOther
	a.Extra = []Field{{"Location", one(to)}}
}

var headSeeOther = []Field{{"Cache-Control", valueNoStore}, {"Content-Length", one("0")}, {"Referrer-Policy", one("no-referrer")}}

func cookieName(q *Request) string {
	if q.TLS {
		return accessCookie
	}
	return accessCookiePlain
}

// cookies returns the first values of a name in Cookie fields, RFC 6265 section
// 5.4.
func cookies(fields []string, name string) (values []string) {
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			if value, ok := strings.CutPrefix(strings.TrimSpace(pair), name+"="); ok {
				if values = append(values, value); len(values) == mostCookies {
					return values
				}
			}
		}
	}
	return values
}

// cutShareToken takes a share link's token out of a query.
func cutShareToken(query string) (token, rest string, found bool) {
	const parameter = site.ShareParameter + "="
	if !strings.Contains(query, parameter) {
		return "", query, false
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		value, ok := strings.CutPrefix(pair, parameter)
		switch {
		case !ok:
			kept = append(kept, pair)
		case !found:
			token, found = value, true
		}
	}
	return token, strings.Join(kept, "&"), found
}

// address is where a request came to, without the host, as one to return to.
func address(path, query string) string {
	path = "/" + strings.TrimLeft(path, "/")
	if query != "" {
		path += "?" + query
	}
	return returnAddress(path)
}

// maxReturn is the longest address that is returned to, in bytes.
const maxReturn = 4 << 10

// returnAddress returns an address that leads to this host, whatever it is
// given: s if it is a path of the host, else "/".
func returnAddress(s string) string {
	if s == "" || len(s) > maxReturn || s[0] != '/' {
		return "/"
	}
	if len(s) > 1 && (s[1] == '/' || s[1] == '\\') {
		return "/" // another host, in the eyes of a browser
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f { // browsers drop some of these before they look
			return "/"
		}
	}
	if path, _, _ := strings.Cut(s, "?"); path == AccessPath {
		return "/"
	}
	return s
}

// seconds is a time in whole seconds, not rounded down.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
