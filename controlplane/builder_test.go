package controlplane_test

import (
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// fakeBuilder does what the builder of one attempt does, as far as the control
// plane can see.
type fakeBuilder struct {
	p     *plane
	job   *site.Job
	actor controlplane.Actor
	seq   int64
}

// claim makes a builder of what the runner was asked to start.
func (p *plane) claim(b controlplane.Builder) *fakeBuilder {
	p.t.Helper()
	job, err := p.Claim(p.t.Context(), b.Claim)
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := p.AuthenticateAttempt(p.t.Context(), job.Token)
	if err != nil {
		p.t.Fatal(err)
	}
	return &fakeBuilder{p: p, job: job, actor: a}
}

// next waits until the runner starts a builder.
func (p *plane) next() controlplane.Builder {
	p.t.Helper()
	select {
	case b := <-p.runner.news:
		return b
	case <-time.After(10 * time.Second):
		p.t.Fatal("no builder was started within 10 s")
		panic("unreachable")
	}
}

// none fails where a builder is started though none should be.
func (p *plane) none() {
	p.t.Helper()
	select {
	case b := <-p.runner.news:
		p.t.Fatalf("a builder was started: %+v", b)
	case <-time.After(20 * time.Millisecond):
	}
}

func (b *fakeBuilder) event(e site.Event) site.Event {
	e.Version, e.Deployment, e.Attempt, e.Time = site.EventVersion, b.job.Deployment, b.job.Attempt, b.p.clock.Now()
	e.Seq = b.seq + 1
	b.seq += e.Numbers()
	return e
}

// report sends events and fails the test where they are not taken.
func (b *fakeBuilder) report(events ...site.Event) (canceled bool) {
	b.p.t.Helper()
	for i := range events {
		events[i] = b.event(events[i])
	}
	canceled, err := b.p.HandleEvents(b.p.t.Context(), b.actor, b.job.AttemptID, events)
	if err != nil {
		b.p.t.Fatal(err)
	}
	return canceled
}

func lines(texts ...string) site.Event {
	e := site.Event{Type: site.EventLog, Phase: site.PhaseBuild}
	for _, text := range texts {
		e.Lines = append(e.Lines, site.LogLine{Stream: site.Stdout, Text: text})
	}
	return e
}

// finish takes the attempt to READY.
func (b *fakeBuilder) finish(files map[string]string) *controlplane.Deployment {
	b.p.t.Helper()
	b.p.upload(b.actor, b.job.Deployment, files)
	d, err := b.p.Publish(b.p.t.Context(), b.actor, b.job.Deployment)
	if err != nil {
		b.p.t.Fatal(err)
	}
	b.p.runner.exit(b.job.AttemptID, 0, "")
	return d
}

func (p *plane) deploy(project, branch string) *controlplane.Deployment {
	p.t.Helper()
	d, err := p.Deploy(p.t.Context(), p.me, controlplane.DeployInput{ProjectID: project, Branch: branch})
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// is waits until a deployment has a status.
func (p *plane) is(id string, status controlplane.Status) *controlplane.Deployment {
	p.t.Helper()
	var d *controlplane.Deployment
	deadline := time.Now().Add(10 * time.Second)
	for {
		var err error
		if d, err = p.Deployment(p.t.Context(), p.me, id); err != nil {
			p.t.Fatal(err)
		}
		if d.Status == status {
			return d
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("deployment is %s (%s), not %s, after 10 s", d.Status, d.Reason, status)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func wantCode(t testing.TB, err error, code controlplane.Code) {
	t.Helper()
	if controlplane.CodeOf(err) != code {
		t.Fatalf("error %v has the code %q, not %q", err, controlplane.CodeOf(err), code)
	}
}
