package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func (c *client) project(name string) *controlplane.Project {
	c.p.t.Helper()
	var project controlplane.Project
	c.do("POST", "/projects", map[string]string{
		"name": name, "gitURL": "https://git.example.com/owner/repository", "productionBranch": "main",
	}).is(http.StatusCreated).into(&project)
	return &project
}

// manifest is one page's, encoded.
func manifest(t testing.TB, text string) []byte {
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
	c.do("PUT", "/deployments/"+id+"/manifest", manifest(c.p.t, text)).is(http.StatusOK)
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
