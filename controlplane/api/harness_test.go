package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond) // no two moments are the same
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// plane is a control plane on real stores behind a real HTTP server. Builders
// are the tests themselves.
type plane struct {
	t        *testing.T
	clock    *clock
	options  api.Options
	store    *store.Store
	logs     *logs.Store
	service  *controlplane.Service
	accounts *controlplane.Accounts
	server   *httptest.Server
	runner   *runner
	log      *lockedBuffer
	setup    string // the code
	draining chan struct{}

	config        controlplane.Config
	accountConfig controlplane.AccountsConfig
}

type option func(*plane)

// generous takes the rates out of the way of tests that are not about them.
var generous = api.Rates{General: -1, SignIn: -1, Deploy: -1, Logs: -1, Sensitive: -1, Claim: -1, Attempt: -1}

const publicURL = "http://deploy.example.com"

func newPlane(t *testing.T, options ...option) *plane {
	t.Helper()
	p := &plane{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, log: &lockedBuffer{}, draining: make(chan struct{})}
	public, err := url.Parse(publicURL)
	if err != nil {
		t.Fatal(err)
	}
	p.options = api.Options{
		PublicURL: public, Rates: generous, Draining: p.draining, Version: "1.2.3", BaseDomain: "example.test",
		SiteURLPattern: "http://{subDomain}.example.test", Isolation: api.Isolation{Mode: "bubblewrap", Network: "isolated"}, Now: p.clock.Now,
		Log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	p.config = controlplane.Config{
		BaseDomain: "example.test", PublicURL: publicURL, MasterKey: bytes.Repeat([]byte{7}, 32), Now: p.clock.Now,
		MaxBuilds: 2, Exclusive: true, AllowLocalGit: true, DrainTime: 10 * time.Millisecond,
	}
	p.accountConfig = controlplane.AccountsConfig{Now: p.clock.Now}
	for _, o := range options {
		o(p)
	}
	dir := t.TempDir()
	bucket, err := blob.OpenDir(filepath.Join(dir, "bucket"), blob.DirOptions{SigningKey: bytes.Repeat([]byte{9}, 32), Now: p.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	if p.store, err = store.Open(t.Context(), filepath.Join(dir, "control.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.store.Close() })
	if p.logs, err = logs.Open(t.Context(), filepath.Join(dir, "logs.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.logs.Close() })
	p.runner = newRunner()
	p.service = controlplane.New(p.config, p.store, p.logs, bucket, p.runner, p.options.Log)
	if err := p.service.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.service.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", p.log)
		}
	})
	p.accounts = controlplane.NewAccounts(p.accountConfig, p.store)
	if p.setup, err = p.accounts.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.options.Service, p.options.Accounts = p.service, p.accounts
	p.options.Blobs = bucket.Handler(p.options.Log)
	p.server = httptest.NewServer(api.Handler(p.options))
	t.Cleanup(p.server.Close)
	return p
}

func rates(r api.Rates) option { return func(p *plane) { p.options.Rates = r } }

func proxies(networks ...string) option {
	return func(p *plane) {
		for _, n := range networks {
			p.options.TrustedProxies = append(p.options.TrustedProxies, netip.MustParsePrefix(n))
		}
	}
}

// lockedBuffer takes the log of many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// runner starts nothing: it tells tests of builders that they may be.
type runner struct {
	started chan controlplane.Builder
	exits   chan controlplane.BuilderExit

	mu      sync.Mutex
	running map[string]bool
}

func newRunner() *runner {
	return &runner{started: make(chan controlplane.Builder, 100), exits: make(chan controlplane.BuilderExit, 100), running: map[string]bool{}}
}

func (r *runner) Start(_ context.Context, b controlplane.Builder) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[b.Attempt] = true
	r.started <- b
	return b.Attempt, nil
}

func (r *runner) Look(_ context.Context, handle string) (controlplane.BuilderState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return controlplane.BuilderState{Running: r.running[handle], Exit: controlplane.BuilderExit{Handle: handle, Code: -1}}, nil
}

func (r *runner) Stop(_ context.Context, handle string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, handle)
	return nil
}

func (r *runner) Exits() <-chan controlplane.BuilderExit                 { return r.exits }
func (r *runner) Sweep(context.Context, []string) (ended int, err error) { return 0, nil }
func (r *runner) Survives() bool                                         { return false }

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
	t *testing.T
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

func (c *client) project(name string) *controlplane.Project {
	c.p.t.Helper()
	var project controlplane.Project
	c.do("POST", "/projects", map[string]string{
		"name": name, "gitURL": "https://git.example.com/owner/repository", "productionBranch": "main",
	}).is(http.StatusCreated).into(&project)
	return &project
}

// manifest is one page's, encoded.
func manifest(t *testing.T, text string) []byte {
	t.Helper()
	m, err := site.NewManifest(site.Meta{}, []site.FileEntry{{
		Path: "/index.html", ContentType: "text/html; charset=utf-8",
		Body: site.BlobEntry{SHA256: site.HashOf([]byte(text)), Size: int64(len(text))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// deployFolder goes through the upload protocol with one page.
func (c *client) deployFolder(project, text string) *controlplane.Deployment {
	c.p.t.Helper()
	var created api.CreatedDeployment
	c.do("POST", "/deployments", map[string]string{"projectId": project, "kind": "files", "message": "first"}).is(http.StatusCreated).into(&created)
	id := created.Deployment.ID
	c.do("PUT", "/deployments/"+id+"/manifest", manifest(c.p.t, text)).is(http.StatusNoContent)
	var uploads site.UploadsResponse
	c.do("POST", "/deployments/"+id+"/uploads", nil).is(http.StatusOK).into(&uploads)
	for _, u := range uploads.Uploads {
		req := c.p.anonymous().request(u.Method, u.URL.URL, []byte(text))
		for name, value := range u.Headers {
			req.Header.Set(name, value)
		}
		if r := c.p.send(req); r.StatusCode/100 != 2 {
			c.p.t.Fatalf("%s: %d %s", r.call, r.StatusCode, r.body)
		}
	}
	var d controlplane.Deployment
	c.do("POST", "/deployments/"+id+"/publish", nil).is(http.StatusOK).into(&d)
	if d.Status != controlplane.StatusReady {
		c.p.t.Fatalf("published: %+v", d)
	}
	return &d
}

// build queues a deployment and claims it, as a builder does.
func (c *client) build(project string) (d *controlplane.Deployment, builder *client, job *site.Job) {
	c.p.t.Helper()
	c.do("POST", "/deploy", map[string]string{"projectId": project}).is(http.StatusAccepted).into(&d)
	select {
	case b := <-c.p.runner.started:
		c.p.anonymous().do("POST", "/attempts/claim", site.ClaimRequest{Token: b.Claim}).is(http.StatusOK).into(&job)
	case <-time.After(20 * time.Second):
		c.p.t.Fatal("no builder was started")
	}
	return d, c.p.bearer(job.Token), job
}

// report sends events, numbered from seq.
func (b *client) report(job *site.Job, seq int64, events ...site.Event) (canceled bool) {
	b.p.t.Helper()
	for i := range events {
		e := &events[i]
		e.Version, e.Deployment, e.Attempt, e.Seq, e.Time = site.EventVersion, job.Deployment, job.Attempt, seq, b.p.clock.Now()
		seq += e.Numbers()
	}
	var answer api.EventsAnswer
	b.do("POST", "/attempts/"+job.AttemptID+"/events", events).is(http.StatusOK).into(&answer)
	return answer.Canceled
}

// lines makes a log event.
func lines(texts ...string) site.Event {
	e := site.Event{Type: site.EventLog, Phase: site.PhaseBuild}
	for _, text := range texts {
		e.Lines = append(e.Lines, site.LogLine{Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Stream: site.Stdout, Text: text})
	}
	return e
}
