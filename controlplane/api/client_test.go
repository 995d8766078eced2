package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// client is somebody who calls: a browser with a cookie, or a program with a token.
type client struct {
	p      *plane
	cookie *http.Cookie
	token  string
	origin string
	from   string // X-Forwarded-For
}

func (p *plane) anonymous() *client { return &client{p: p, origin: publicURL} }

func (p *plane) bearer(token string) *client { return &client{p: p, token: token} }

const password = "correct horse battery"

// owner signs up with the setup code.
func (p *plane) owner() *client { return p.signUp("owner@example.com", p.setup) }

func (p *plane) signUp(email, code string) *client {
	p.t.Helper()
	c := p.anonymous()
	r := c.do("POST", "/auth/signup", map[string]string{"email": email, "password": password, "name": "A Person", "code": code})
	r.is(http.StatusCreated)
	c.cookie = r.cookie()
	return c
}

// second is another person, who was invited.
func (p *plane) second(owner *client) *client {
	p.t.Helper()
	var invitation struct{ Code string }
	owner.do("POST", "/invitations", nil).is(http.StatusCreated).into(&invitation)
	return p.signUp("second@example.com", invitation.Code)
}

// withScope is a program with a token of the client's.
func (c *client) withScope(scope string) *client {
	c.p.t.Helper()
	var token struct{ Token string }
	c.do("POST", "/tokens", map[string]string{"name": scope, "scope": scope}).is(http.StatusCreated).into(&token)
	return c.p.bearer(token.Token)
}

// response is an answer, read whole.
type response struct {
	t testing.TB
	*http.Response
	body []byte
	call string
}

func (c *client) request(method, path string, body any, header ...string) *http.Request {
	c.p.t.Helper()
	var reader io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case []byte:
		reader, contentType = bytes.NewReader(b), "application/octet-stream"
	case string:
		reader, contentType = strings.NewReader(b), "application/json"
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			c.p.t.Fatal(err)
		}
		reader, contentType = bytes.NewReader(encoded), "application/json"
	}
	req, err := http.NewRequestWithContext(c.p.t.Context(), method, c.p.server.URL+path, reader)
	if err != nil {
		c.p.t.Fatal(err)
	}
	req.Host = "deploy.example.com"
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set("Content-Type", contentType)
	set("Origin", c.origin)
	set("X-Forwarded-For", c.from)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.cookie != nil {
		req.AddCookie(c.cookie)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

func (c *client) do(method, path string, body any, header ...string) *response {
	c.p.t.Helper()
	return c.p.send(c.request(method, path, body, header...))
}

func (p *plane) send(req *http.Request) *response {
	p.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: time.Minute}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return &response{t: p.t, Response: res, body: b, call: req.Method + " " + req.URL.Path}
}

// is checks the status; one that is no success must be a problem.
func (r *response) is(status int) *response {
	r.t.Helper()
	if r.StatusCode != status {
		r.t.Fatalf("%s: %d instead of %d: %s", r.call, r.StatusCode, status, r.body)
	}
	if status >= 400 {
		r.problem()
	}
	return r
}

type problemBody struct {
	Type, Title, Detail string
	Status              int
	Errors              []controlplane.FieldError
}

func (r *response) problem() problemBody {
	r.t.Helper()
	var p problemBody
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		r.t.Fatalf("%s: %d is of type %q: %s", r.call, r.StatusCode, got, r.body)
	}
	if err := json.Unmarshal(r.body, &p); err != nil || p.Status != r.StatusCode || p.Title == "" || p.Type == "" {
		r.t.Fatalf("%s: %v, %s", r.call, err, r.body)
	}
	return p
}

// field returns what the problem says of a field.
func (r *response) field(name string) string {
	r.t.Helper()
	for _, f := range r.problem().Errors {
		if f.Field == name {
			return f.Message
		}
	}
	r.t.Fatalf("%s: nothing of %q in %s", r.call, name, r.body)
	return ""
}

func (r *response) into(v any) *response {
	r.t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("%s: %v: %s", r.call, err, r.body)
	}
	return r
}

func (r *response) cookie() *http.Cookie {
	r.t.Helper()
	cookies := r.Cookies()
	if len(cookies) != 1 {
		r.t.Fatalf("%s: %d cookies", r.call, len(cookies))
	}
	return &http.Cookie{Name: cookies[0].Name, Value: cookies[0].Value}
}
