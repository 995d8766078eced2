package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const (
	sessionCookie = "mv_session"
	attemptPrefix = "mva_"
)

// cookieName is bound to the host on https, so that no other host, such as a
// tenant's, can set it (RFC 6265bis, section 4.1.3.2).
func (a *API) cookieName() string {
	if a.PublicURL.Scheme == "https" {
		return "__Host-" + sessionCookie
	}
	return sessionCookie
}

// cookie is a session's that lasts for a time; with no session it ends the one
// that is there.
func (a *API) cookie(session string, lasts time.Duration) *http.Cookie {
	c := &http.Cookie{
		Name: a.cookieName(), Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: a.PublicURL.Scheme == "https", MaxAge: -1,
	}
	if session != "" {
		c.MaxAge = max(1, int(lasts.Seconds()))
	}
	return c
}

// signIn finds out who calls. A request with a token is the token's, whatever
// cookies the browser added. No sign-in at all is no error; a bad one is.
func (a *API) signIn(c *caller) error {
	if header := c.r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return controlplane.Errorf(controlplane.CodeUnauthorized, signInDetail)
		}
		return a.bearer(c, strings.TrimSpace(token))
	}
	cookie, err := c.r.Cookie(a.cookieName())
	if err != nil || cookie.Value == "" {
		return nil
	}
	c.session = cookie.Value
	p, renewed, err := a.Accounts.Session(c.r.Context(), cookie.Value)
	if err != nil {
		return err
	}
	c.Principal = &p
	if renewed {
		http.SetCookie(c.w, a.cookie(cookie.Value, a.Accounts.SessionTime()))
	}
	return nil
}

func (a *API) bearer(c *caller, token string) error {
	if strings.HasPrefix(token, attemptPrefix) {
		actor, err := a.Service.AuthenticateAttempt(c.r.Context(), token)
		if err != nil {
			return err
		}
		c.Actor = actor
		return nil
	}
	if a.Accounts.BySupabase() && !strings.HasPrefix(token, controlplane.TokenPrefix) {
		p, err := a.Accounts.Supabase(c.r.Context(), token)
		if err != nil {
			return err
		}
		c.Principal = &p
		return nil
	}
	p, err := a.Accounts.Token(c.r.Context(), token, a.fromThisMachine(c.r))
	if err != nil {
		return err
	}
	c.Principal = &p
	return nil
}

// stillSignedIn reports whether what a request came with is still good. Where
// that can't be found out, it is taken to be.
func (a *API) stillSignedIn(ctx context.Context) bool {
	c := callerOf(ctx)
	if c.r == nil {
		return true
	}
	again := &caller{r: c.r, w: &discard{header: http.Header{}}}
	code := controlplane.CodeOf(a.signIn(again))
	return code != controlplane.CodeUnauthorized && code != controlplane.CodeForbidden
}

// checkOrigin refuses a write that comes by cookie from a page of another
// origin. SameSite does not: a tenant on the same site may send cookies.
func (a *API) checkOrigin(c *caller) error {
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead || c.r.Header.Get("Authorization") != "" {
		return nil
	}
	origin := c.r.Header.Get("Origin")
	if origin == "" && c.session == "" {
		return nil // no browser, and nobody's cookie
	}
	if origin == originOf(a.PublicURL) {
		return nil
	}
	// On the same machine one server has several names.
	if origin == "http://"+c.r.Host && loopbackName(hostName(c.r.Host)) {
		return nil
	}
	return controlplane.Errorf(controlplane.CodeForbidden,
		"This came from a page of another origin. Use the dashboard at %s, or an API token.", a.PublicURL)
}

// originOf is what browsers send as the Origin of pages at an address: in lower
// case, and without the scheme's own port (RFC 6454, section 6.1).
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return u.Scheme + "://" + host
}
