package builder

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// plane is a control plane as a builder sees it.
type plane struct {
	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	job    *site.Job
	claims int

	events    []site.Event
	blobs     map[site.Hash][]byte
	manifest  *site.Manifest
	published bool
	canceled  bool
	archive   []byte
	onEvent   func(site.Event)
	warnings  []site.Problem // of the manifest's rules
	refusal   string         // why the manifest is not taken; "": it is
}

func newPlane(t *testing.T, job *site.Job) *plane {
	t.Helper()
	p := &plane{t: t, job: job, blobs: map[site.Hash][]byte{}}
	if job.Kind == "" {
		job.Kind = site.JobBuild
	}
	job.AttemptID, job.Token, job.Deployment, job.Attempt, job.Project = "dep.1", "mva_secret-attempt-token", "dep", 1, "project"
	if job.Limits == (site.Limits{}) {
		job.Limits = site.DefaultLimits()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /attempts/claim", p.claim)
	mux.HandleFunc("POST /attempts/dep.1/events", p.takeEvents)
	mux.HandleFunc("POST /projects/project/blobs/known", func(w http.ResponseWriter, r *http.Request) { p.answer(w, r, site.KnownResponse{}) })
	mux.HandleFunc("PUT /deployments/dep/manifest", p.takeManifest)
	mux.HandleFunc("POST /deployments/dep/uploads", p.uploads)
	mux.HandleFunc("PUT /blobs/{hash}", p.takeBlob)
	mux.HandleFunc("POST /deployments/dep/publish", p.publish)
	mux.HandleFunc("GET /archive", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(p.archive) })
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func (p *plane) answer(w http.ResponseWriter, r *http.Request, body any) {
	if r.Header.Get("Authorization") != "Bearer "+p.job.Token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

func (p *plane) claim(w http.ResponseWriter, r *http.Request) {
	var in site.ClaimRequest
	_ = json.NewDecoder(r.Body).Decode(&in)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.claims++; in.Token != "mvc_once" || p.claims > 1 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(p.job)
}

func (p *plane) takeEvents(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) > 4<<20 {
		p.t.Errorf("a batch of %d bytes: %v", len(body), err)
	}
	events, err := site.DecodeEvents(body)
	if err != nil {
		p.t.Errorf("events: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.published { // as it voids the token
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.events = append(p.events, events...)
	if p.onEvent != nil {
		for _, e := range events {
			p.onEvent(e)
		}
	}
	p.answer(w, r, map[string]bool{"canceled": p.canceled})
}

func (p *plane) takeManifest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	m, err := site.DecodeManifest(body)
	if err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.manifest = m
	if p.refusal != "" {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(map[string]string{"detail": p.refusal})
		return
	}
	p.answer(w, r, site.ManifestResponse{Warnings: p.warnings})
}

func (p *plane) uploads(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := site.UploadsResponse{Uploads: []site.Upload{}}
	for blob := range p.manifest.Blobs() {
		if _, ok := p.blobs[blob.SHA256()]; !ok {
			out.Uploads = append(out.Uploads, site.Upload{SHA256: blob.SHA256(), Size: blob.Size(), URL: site.URL{Method: "PUT", URL: "/blobs/" + blob.SHA256().String(), Expires: time.Now().Add(time.Hour)}})
		}
	}
	out.Missing = len(out.Uploads)
	p.answer(w, r, out)
}

func (p *plane) takeBlob(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blobs[sha256.Sum256(body)] = body
}

func (p *plane) publish(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer(w, r, map[string]string{"status": "READY"})
	p.published = true
}

// result is what the control plane knows after a builder has ended.
type result struct {
	code   int
	reason string // of the failed event
	log    string
	phases string
	p      *plane
}

// build runs a builder for the job.
func (p *plane) build(config ...func(*Config)) result {
	p.t.Helper()
	c := Config{URL: p.server.URL, Claim: "mvc_once", Workspace: p.t.TempDir()}
	for _, change := range config {
		change(&c)
	}
	code := Run(p.t.Context(), c)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := result{code: code, p: p}
	var log strings.Builder
	next := int64(1)
	for _, e := range p.events {
		if e.Seq != next {
			p.t.Errorf("event %d has the number %d", next, e.Seq)
		}
		next += e.Numbers()
		switch e.Type {
		case site.EventFailed:
			r.reason = e.Reason
		case site.EventPhase:
			r.phases += string(e.Phase) + " "
		case site.EventLog:
			for _, line := range e.Lines {
				log.WriteString(string(line.Stream) + "| " + line.Text + "\n")
			}
		}
	}
	r.log = log.String()
	return r
}

// file is the content that was published at a path.
func (r result) file(path string) string {
	r.p.t.Helper()
	if r.p.manifest == nil {
		r.p.t.Fatalf("nothing was published: %q\n%s", r.reason, r.log)
	}
	f, ok := r.p.manifest.Lookup(path)
	if !ok {
		r.p.t.Fatalf("%s was not published\n%s", path, r.log)
	}
	return string(r.p.blobs[f.Blob(site.Identity).SHA256()])
}

// fails asserts that the build failed for a reason with all the given words.
func (r result) fails(words ...string) {
	r.p.t.Helper()
	if r.code != ExitFailed {
		r.p.t.Fatalf("exit code %d, reason %q\n%s", r.code, r.reason, r.log)
	}
	for _, word := range words {
		if !strings.Contains(r.reason, word) {
			r.p.t.Errorf("the reason %q lacks %q\n%s", r.reason, word, r.log)
		}
	}
}

func (r result) succeeds() {
	r.p.t.Helper()
	if r.code != ExitDone || !r.p.published {
		r.p.t.Fatalf("exit code %d, reason %q\n%s", r.code, r.reason, r.log)
	}
}
