package controlplane_test

import (
	"context"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestDetection(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.MaxDetections = 1 }).start()
	in := controlplane.DetectInput{GitURL: "https://git.example.com/a/b", Branch: "main", RootDirectory: "web"}
	type result struct {
		found *site.Detection
		err   error
	}
	detect := func(ctx context.Context) <-chan result {
		c := make(chan result, 1)
		go func() {
			found, err := p.Detect(ctx, p.me, in)
			c <- result{found, err}
		}()
		return c
	}
	t.Run("found", func(t *testing.T) {
		c := detect(t.Context())
		b := p.claim(p.next())
		if b.job.Kind != site.JobDetect || b.job.Git.URL != in.GitURL || b.job.Git.Branch != "main" || b.job.Build.RootDirectory != "web" || b.job.Project != "" {
			t.Fatalf("job: %+v", b.job)
		}
		second := detect(t.Context())
		p.none() // one at once
		b.report(lines("looking"), site.Event{Type: site.EventDetected, Detected: &site.Detection{Framework: "vite", DefaultBranch: "main"}})
		if r := <-c; r.err != nil || r.found.Framework != "vite" {
			t.Fatalf("%+v", r)
		}
		if _, err := p.AuthenticateAttempt(t.Context(), b.job.Token); controlplane.CodeOf(err) != controlplane.CodeUnauthorized {
			t.Errorf("its token lives on: %v", err)
		}
		next := p.claim(p.next())
		next.report(site.Event{Type: site.EventFailed, Reason: "There is no such repository."})
		r := <-second
		wantCode(t, r.err, controlplane.CodeInvalid)
		if r.err.Error() != "There is no such repository." {
			t.Errorf("%v", r.err)
		}
	})
	t.Run("its builder ends by itself", func(t *testing.T) {
		c := detect(t.Context())
		b := p.next()
		p.runner.exit(b.Attempt, 3, "git is not there")
		wantCode(t, (<-c).err, controlplane.CodeInvalid)
	})
	t.Run("nobody waits any more", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := detect(ctx)
		p.next()
		cancel()
		if r := <-c; r.err == nil {
			t.Fatal("found something")
		}
		eventually(t, "its builder is stopped", func() bool { return p.runner.running() == 0 })
	})
	t.Run("a builder of a detection can't deploy", func(t *testing.T) {
		c := detect(t.Context())
		b := p.claim(p.next())
		_, err := p.KnownBlobs(t.Context(), b.actor, "", nil)
		wantCode(t, err, controlplane.CodeNotFound)
		_, err = p.Publish(t.Context(), b.actor, b.job.Deployment)
		wantCode(t, err, controlplane.CodeNotFound)
		b.report(site.Event{Type: site.EventFailed, Reason: "x"})
		<-c
	})
	_, err := p.Detect(t.Context(), p.me, controlplane.DetectInput{GitURL: "ext::sh"})
	wantCode(t, err, controlplane.CodeInvalid)
}
