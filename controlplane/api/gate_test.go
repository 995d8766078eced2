package api_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane/api"
)

func TestOnlyOurHostsAreAnswered(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.options.Hosts = []string{"192.0.2.7", "0.0.0.0", "::"} })
	for _, row := range []struct {
		host string
		want int
	}{
		{"deploy.example.com", 200},
		{"DEPLOY.example.com:9000", 200},
		{"deploy.example.com.", 200},
		{"localhost", 200},
		{"localhost:9000", 200},
		{"127.0.0.1:9000", 200},
		{"[::1]:9000", 200},
		{"192.0.2.7:9000", 200},
		{"0.0.0.0", 421},
		{"evil.example.com", 421},
		{"tenant.localhost", 421},
		{"localhost.evil.example.com", 421},
		{"127.0.0.1.evil.example.com", 421},
		{"192.0.2.8", 421},
	} {
		t.Run(row.host, func(t *testing.T) {
			p.anonymous().do("GET", "/health", nil, "Host", row.host).is(row.want)
		})
	}
}

func TestWritesByCookieNeedOurOrigin(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	token := owner.withScope("admin")
	for _, row := range []struct {
		name, host, origin string
		want               int
	}{
		{"ours", "deploy.example.com", publicURL, 201},
		{"none", "deploy.example.com", "", 403},
		{"null", "deploy.example.com", "null", 403},
		{"another", "deploy.example.com", "http://evil.example.com", 403},
		{"a tenant's", "deploy.example.com", "http://blog.example.com", 403},
		{"ours with another scheme", "deploy.example.com", "https://deploy.example.com", 403},
		{"ours with another port", "deploy.example.com", publicURL + ":81", 403},
		{"the same on loopback", "127.0.0.1:9000", "http://127.0.0.1:9000", 201},
		{"another port of loopback", "localhost:9000", "http://localhost:8001", 403},
		{"a site on loopback", "localhost:9000", "http://blog.localhost:9000", 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := &client{p: p, cookie: owner.cookie, origin: row.origin}
			c.do("POST", "/projects", map[string]string{"name": "a"}, "Host", row.host).is(row.want)
			c.do("GET", "/projects", nil, "Host", row.host).is(200)
			withToken := &client{p: p, token: token.token, origin: row.origin}
			withToken.do("POST", "/projects", map[string]string{"name": "a"}, "Host", row.host).is(201)
			// Signing somebody in as somebody else is a write, too.
			signIn := &client{p: p, origin: row.origin}
			want := row.want
			if want == 201 || row.origin == "" {
				want = 200 // a program has no Origin and no cookie
			}
			signIn.do("POST", "/auth/login", map[string]string{"email": "owner@example.com", "password": password}, "Host", row.host).is(want)
		})
	}
}

func TestTheOriginOfPublicURLIsWhatBrowsersSend(t *testing.T) {
	for public, origin := range map[string]string{
		"https://Deploy.Example.com:443/": "https://deploy.example.com",
		"http://deploy.example.com:80":    "http://deploy.example.com",
		"https://deploy.example.com:8443": "https://deploy.example.com:8443",
		"http://deploy.example.com:443":   "http://deploy.example.com:443",
	} {
		p := newPlane(t, func(p *plane) {
			u, err := url.Parse(public)
			if err != nil {
				t.Fatal(err)
			}
			p.options.PublicURL = u
		})
		c := &client{p: p, origin: origin}
		c.do("POST", "/auth/logout", nil).is(http.StatusNoContent)
		c.origin = publicURL + ":1"
		c.do("POST", "/auth/logout", nil).is(http.StatusForbidden)
	}
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	p := newPlane(t)
	p.anonymous().do("GET", "/nothing/here", nil).is(http.StatusNotFound)
	p.anonymous().do("POST", "/projects/a/b/c/d", nil).is(http.StatusNotFound)
	for _, path := range []string{"/projects/%00", "/projects/%ff", "/projects?cursor=%00", "/projects?cursor=%ff", "/projects?cursor=%zz"} {
		p.anonymous().do("GET", path, nil).is(http.StatusBadRequest)
	}
	r := p.anonymous().do("PUT", "/projects", nil).is(http.StatusMethodNotAllowed)
	if allow := r.Header.Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("Allow: %q", allow)
	}
}

func TestBodies(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	secret := "s3cr3t-value"
	for _, row := range []struct {
		name, path, body, contentType string
		want                          int
	}{
		{"none", "/projects", "", "", 400},
		{"no JSON", "/projects", `{"name": ` + secret, "", 400},
		{"an array", "/projects", `["` + secret + `"]`, "", 422},
		{"a wrong type", "/projects", `{"name": {"a": "` + secret + `"}}`, "", 422},
		{"an unknown field", "/projects", `{"name": "a", "unknown": "` + secret + `"}`, "", 422},
		{"a field in other case", "/projects", `{"NAME": "` + secret + `"}`, "", 422},
		{"an unknown value", "/projects", `{"name": "a", "notFound": "` + secret + `"}`, "", 422},
		{"a long value", "/tokens", `{"name": "` + strings.Repeat(secret, 20) + `", "scope": "read"}`, "", 422},
		{"a password", "/auth/login", `{"email": "a@example.com", "password": ["` + secret + `"]}`, "", 422},
		{"a long password", "/auth/login", `{"email": "a@example.com", "password": "` + strings.Repeat(secret, 40) + `"}`, "", 422},
		{"another media type", "/projects", `{"name": "` + secret + `"}`, "text/plain", 415},
		{"a form", "/projects", "name=" + secret, "application/x-www-form-urlencoded", 415},
		{"a bad git URL", "/projects", `{"name": "a", "gitURL": "https://user:` + secret + `@git.example.com/a"}`, "", 422},
		{"a bad environment", "/deploy", `{"projectId": "a", "environment": "` + secret + `"}`, "", 422},
		{"an unknown claim", "/attempts/claim", `{"token": "` + secret + `"}`, "", 401},
	} {
		t.Run(row.name, func(t *testing.T) {
			var header []string
			if row.contentType != "" {
				header = []string{"Content-Type", row.contentType}
			}
			r := owner.do("POST", row.path, row.body, header...).is(row.want)
			if bytes.Contains(r.body, []byte(secret)) {
				t.Errorf("it repeats what was sent: %s", r.body)
			}
			if row.want == 422 && len(r.problem().Errors) == 0 {
				t.Errorf("it names no field: %s", r.body)
			}
		})
	}
	r := owner.do("GET", "/projects?limit=101&cursor="+strings.Repeat("x", 300), nil).is(http.StatusUnprocessableEntity)
	r.field("limit")
	r.field("cursor")
	owner.do("GET", "/projects?limit=abc", nil).is(http.StatusUnprocessableEntity).field("limit")
	owner.do("GET", "/projects?cursor=!!", nil).is(http.StatusUnprocessableEntity).field("cursor")
	owner.do("GET", "/projects?limit=100", nil).is(http.StatusOK)
	owner.do("GET", "/deployments?status=WRONG", nil).is(http.StatusUnprocessableEntity).field("status")
}

func TestBodyLimits(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("limits")
	_, builder, job := owner.build(project.ID)
	pad := func(body string, size int) string { return body + strings.Repeat(" ", size-len(body)) }
	const mib = 1 << 20
	for _, row := range []struct {
		name     string
		c        *client
		method   string
		path     string
		body     string
		limit    int
		accepted int
	}{
		{"JSON", owner, "POST", "/projects", `{"name": "large"}`, mib, 201},
		{"known blobs", owner, "POST", "/projects/" + project.ID + "/blobs/known", `{"hashes": []}`, mib, 200},
		{"events", builder, "POST", "/attempts/" + job.AttemptID + "/events", `[]`, 4 * mib, 200},
		{"a manifest", builder, "PUT", "/deployments/" + job.Deployment + "/manifest", `x`, 64 * mib, 422},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.c.do(row.method, row.path, pad(row.body, row.limit)).is(row.accepted)
			row.c.do(row.method, row.path, pad(row.body, row.limit+1)).is(http.StatusRequestEntityTooLarge)
			// Without a length, the end shows only while it is read.
			req := row.c.request(row.method, row.path, pad(row.body, row.limit+1))
			req.ContentLength = -1
			p.send(req).is(http.StatusRequestEntityTooLarge)
		})
	}
}

func TestEveryAnswerBindsBrowsers(t *testing.T) {
	p := newPlane(t)
	for _, path := range []string{"/health", "/nothing", "/projects", "/openapi.json", "/docs"} {
		r := p.anonymous().do("GET", path, nil)
		policy := r.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: no %s in %q", path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %q", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q", path, name, got)
			}
		}
		if r.Header.Get("X-Request-ID") == "" {
			t.Errorf("%s: no request id", path)
		}
	}
}

func TestAnInternalErrorTellsNothingButItsRequest(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	stop, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.service.Stop(stop); err != nil {
		t.Fatal(err)
	}
	p.logs.Close()
	p.store.Close()
	r := owner.do("GET", "/projects", nil).is(http.StatusInternalServerError)
	if bytes.Contains(r.body, []byte("sql")) || bytes.Contains(r.body, []byte("database")) {
		t.Errorf("it tells its cause: %s", r.body)
	}
	if id := r.Header.Get("X-Request-ID"); !strings.Contains(p.log.String(), id) || !strings.Contains(p.log.String(), "database is closed") {
		t.Errorf("the log does not: %s", p.log)
	}
	ready := p.anonymous().do("GET", "/ready", nil).is(http.StatusServiceUnavailable)
	ready.field("database")
	ready.field("logs")
	if bytes.Contains(ready.body, []byte("bucket")) || bytes.Contains(ready.body, []byte("closed")) {
		t.Errorf("%s", ready.body)
	}
	p.anonymous().do("GET", "/health", nil).is(http.StatusOK)
}

func TestAPanicIsAnInternalError(t *testing.T) {
	p := newPlane(t, func(p *plane) {
		p.options.Dashboard = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the reason") })
	})
	r := p.anonymous().do("GET", "/dashboard/", nil).is(http.StatusInternalServerError)
	if bytes.Contains(r.body, []byte("the reason")) || !strings.Contains(p.log.String(), "the reason") {
		t.Errorf("%s\n%s", r.body, p.log)
	}
}

func TestTheRootLeadsToTheDashboard(t *testing.T) {
	p := newPlane(t, func(p *plane) {
		p.options.Dashboard = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Path)) })
	})
	if r := p.anonymous().do("GET", "/", nil); r.StatusCode != http.StatusFound || r.Header.Get("Location") != "/dashboard/" {
		t.Errorf("%d %s", r.StatusCode, r.Header.Get("Location"))
	}
	if r := p.anonymous().do("GET", "/dashboard/p/blog", nil).is(http.StatusOK); string(r.body) != "/dashboard/p/blog" {
		t.Errorf("%s", r.body)
	}
}

func TestSystem(t *testing.T) {
	p := newPlane(t)
	var system api.System
	p.owner().do("GET", "/system", nil).is(http.StatusOK).into(&system)
	if system.Version != "1.2.3" || len(system.Parts) != 3 || system.Parts[0].Status != "ok" || system.Isolation.Mode != "bubblewrap" {
		t.Fatalf("%+v", system)
	}
	p.anonymous().do("GET", "/system", nil).is(http.StatusUnauthorized)
	for _, part := range system.Parts {
		if want := map[string]string{"database": "SQLite"}[part.Name]; part.Engine != want {
			t.Errorf("%s is %q, want %q", part.Name, part.Engine, want)
		}
	}
	if r := p.anonymous().do("GET", "/ready", nil).is(http.StatusOK); strings.Contains(string(r.body), "SQLite") {
		t.Errorf("everybody is told what the parts are: %s", r.body)
	}
}
