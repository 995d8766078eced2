package api_test

import (
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane/api"
)

// FuzzRequests sends anything to every operation, as somebody who may do
// everything: no answer is the server's own fault, and each that is no success
// is a problem.
func FuzzRequests(f *testing.F) {
	p := newPlane(f)
	owner := p.owner()
	project := owner.project("fuzzed")
	ready := owner.deployFolder(project.ID, "<h1>fuzzed</h1>")
	_, builder, job := owner.build(project.ID)
	target := target{project: project.ID, deployment: ready.ID, attempt: job.AttemptID, token: "none"}
	handler := api.Handler(p.options)
	var operations []operation
	for _, o := range p.operations() {
		// Without these the project is there to the end, and so is the session.
		if !o.destructive() && o.Path != "/events" && !strings.HasSuffix(o.Path, "/stream") && o.ID != "detect" {
			operations = append(operations, o)
		}
	}
	for i, o := range operations {
		body := ""
		if b := o.body(target); b != nil {
			r := owner.request(o.Method, "/", b)
			text, err := io.ReadAll(r.Body)
			if err != nil {
				f.Fatal(err)
			}
			body = string(text)
		}
		f.Add(i, "limit=1&cursor=1&status=READY&q=x&after=1-1", body, "", "")
	}
	f.Add(0, "%zz", `{"name": null}`, "a/b", "\x00")
	f.Add(3, "limit=-1", `[[[[`, "..", "é")
	f.Fuzz(func(t *testing.T, i int, query, body, id, key string) {
		o := operations[int(uint(i)%uint(len(operations)))]
		path := o.path(target)
		if id != "" {
			path = strings.NewReplacer("{id}", url.PathEscape(id), "{projectId}", url.PathEscape(id), "{deployment}", url.PathEscape(id), "{key}", url.PathEscape(id)).Replace(o.Path)
		}
		r := httptest.NewRequestWithContext(t.Context(), o.Method, "http://deploy.example.com/", strings.NewReader(body))
		u, err := url.Parse(path)
		if err != nil {
			return
		}
		u.RawQuery = query
		r.URL = u
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		if o.ID == "reportEvents" {
			r.Header.Set("Authorization", "Bearer "+builder.token)
		} else {
			r.Header.Set("Origin", publicURL)
			r.AddCookie(owner.cookie)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %s?%s %q: %d %s\n%s", o.Method, path, query, body, w.Code, w.Body, p.log)
		}
		if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%s %s: %d is of type %q: %s", o.Method, path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		if w.Code < 300 && strings.Contains(w.Body.String(), ":null") {
			t.Fatalf("%s %s: %s", o.Method, path, w.Body)
		}
	})
}
