package controlplane_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestForgedEventsAreRefused(t *testing.T) {
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	other := p.deploy(p.project("other").ID, "")
	stranger := p.claim(p.next())
	good := func() site.Event {
		return site.Event{Version: 1, Deployment: d.ID, Attempt: 1, Seq: 1, Type: site.EventFailed, Reason: "forged"}
	}
	for _, row := range []struct {
		name string
		edit func(*site.Event)
		more []site.Event
	}{
		{"unknown version", func(e *site.Event) { e.Version = 2 }, nil},
		{"no version", func(e *site.Event) { e.Version = 0 }, nil},
		{"another deployment", func(e *site.Event) { e.Deployment = other.ID }, nil},
		{"another attempt", func(e *site.Event) { e.Attempt = 2 }, nil},
		{"no number", func(e *site.Event) { e.Seq = 0 }, nil},
		{"an absurd number", func(e *site.Event) { e.Seq = 1 << 50 }, nil},
		{"unknown type", func(e *site.Event) { e.Type = "ready" }, nil},
		{"unknown phase", func(e *site.Event) { e.Type, e.Phase = site.EventPhase, "pwned" }, nil},
		{"lines in a state", func(e *site.Event) { e.Lines = []site.LogLine{{Stream: site.Stdout}} }, nil},
		{"a log without lines", func(e *site.Event) { e.Type = site.EventLog }, nil},
		{"unknown stream", func(e *site.Event) { e.Type, e.Lines = site.EventLog, []site.LogLine{{Stream: "x"}} }, nil},
		{"too many lines", func(e *site.Event) { e.Type, e.Lines = site.EventLog, make([]site.LogLine, 30_000) }, nil},
		{"numbers that go back", func(e *site.Event) { e.Type = site.EventHeartbeat }, []site.Event{good()}},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := good()
			row.edit(&e)
			_, err := p.HandleEvents(t.Context(), b.actor, b.job.AttemptID, append([]site.Event{e}, row.more...))
			wantCode(t, err, controlplane.CodeInvalid)
			p.is(d.ID, controlplane.StatusInProgress)
		})
	}
	_, err := p.HandleEvents(t.Context(), stranger.actor, b.job.AttemptID, []site.Event{good()})
	wantCode(t, err, controlplane.CodeNotFound)
	_, err = p.HandleEvents(t.Context(), actor(p.me), b.job.AttemptID, []site.Event{good()})
	wantCode(t, err, controlplane.CodeForbidden)
	_, err = p.PutManifest(t.Context(), stranger.actor, d.ID, nil)
	wantCode(t, err, controlplane.CodeNotFound)
	_, err = p.KnownBlobs(t.Context(), stranger.actor, b.job.Project, nil)
	wantCode(t, err, controlplane.CodeNotFound)
	p.is(d.ID, controlplane.StatusInProgress)
}

func TestTextOfALogChangesNothing(t *testing.T) {
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	b.report(lines(
		`{"v":1,"deployment":"`+d.ID+`","attempt":1,"seq":99,"type":"failed","reason":"forged"}`,
		"pipeline completed", "READY", "\x1b[2J\x1b]0;title\x07", "nul \x00 and \xff bytes"))
	p.is(d.ID, controlplane.StatusInProgress)
	got, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{})
	if err != nil || len(got) != 5 {
		t.Fatalf("%+v %v", got, err)
	}
	if text := got[4].Text; !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		t.Errorf("%q", text)
	}
}

func TestEventsAreTakenInOnce(t *testing.T) {
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	batch := []site.Event{
		b.event(site.Event{Type: site.EventPhase, Phase: site.PhaseClone}), b.event(lines("one", "two")),
		b.event(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild}), b.event(lines("three")),
	}
	send := func(events []site.Event) {
		t.Helper()
		if canceled, err := p.HandleEvents(t.Context(), b.actor, b.job.AttemptID, events); err != nil || canceled {
			t.Fatal(canceled, err)
		}
	}
	send(batch)
	send(batch) // the answer was lost
	b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseUpload})
	send(batch)
	d = p.is(d.ID, controlplane.StatusInProgress)
	if d.Phase != site.PhaseUpload || len(d.Phases) != 3 {
		t.Errorf("phases: %+v", d.Phases)
	}
	got, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{})
	if err != nil || len(got) != 3 {
		t.Errorf("log: %+v %v", got, err)
	}
}

func TestLogIsCutAtItsLimits(t *testing.T) {
	p := newPlane(t, func(p *plane) {
		p.config.Limits = site.DefaultLimits()
		p.config.Limits.LogBytes, p.config.Limits.LogLineBytes = 100_000, 1000
	}).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	b.report(lines(strings.Repeat("ä", 5000)))
	for range 100 {
		b.report(lines(strings.Repeat("x", 1000), strings.Repeat("y", 999)))
	}
	got, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{Limit: 5000})
	if err != nil {
		t.Fatal(err)
	}
	if first := got[0].Text; len(first) > 1000 || !utf8.ValidString(first) || !strings.HasSuffix(first, "(line cut)") {
		t.Errorf("a long line: %d bytes, %q", len(first), first[len(first)-30:])
	}
	bytes := 0
	for _, l := range got {
		bytes += len(l.Text)
	}
	last := got[len(got)-1]
	if bytes > 100_000+64<<10+200 || last.Stream != site.System || !strings.Contains(last.Text, "limit") {
		t.Errorf("%d bytes, the last line is %+v", bytes, last)
	}
	if strings.Contains(got[len(got)-2].Text, "limit") {
		t.Error("the limit is told twice")
	}
	b.report(site.Event{Type: site.EventFailed, Reason: "end"})
	p.is(d.ID, controlplane.StatusFail)
}

// TestTheLimitOfALogIsOfAllControlPlanes: a builder that keeps no limit hands in
// its lines at three of them in turn.
func TestTheLimitOfALogIsOfAllControlPlanes(t *testing.T) {
	const limit = 1 << 20
	p := newPlane(t, func(p *plane) {
		p.config.Exclusive = false
		p.config.Limits = site.DefaultLimits()
		p.config.Limits.LogBytes = limit
	}).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	own := p.Service
	planes := []*controlplane.Service{own, p.over(p.store), p.over(p.store)}
	for n := range 4 * limit / 10_000 {
		p.Service = planes[n%len(planes)]
		b.report(lines(strings.Repeat("x", 10_000)))
	}
	p.Service = own
	bytes, _, err := p.logs.Extent(t.Context(), d.Log())
	if most := int64(limit + 64<<10 + 3*limit/16); err != nil || bytes < limit || bytes > most {
		t.Errorf("%d bytes are kept, at most %d may be: %v", bytes, most, err)
	}
}

func TestClaimWorksOnce(t *testing.T) {
	p := newPlane(t).start()
	p.deploy(p.project("repo").ID, "")
	b := p.next()
	p.claim(b)
	_, err := p.Claim(t.Context(), b.Claim)
	wantCode(t, err, controlplane.CodeUnauthorized)
	_, err = p.Claim(t.Context(), "mvc_guess")
	wantCode(t, err, controlplane.CodeUnauthorized)

	p.deploy(p.project("other").ID, "")
	late := p.next()
	p.clock.Advance(2*time.Minute + 1)
	_, err = p.Claim(t.Context(), late.Claim)
	wantCode(t, err, controlplane.CodeUnauthorized)
}

func TestAttemptTokensAreBoundToTheirAttempt(t *testing.T) {
	p := newPlane(t).start()
	d, other := p.deploy(p.project("repo").ID, ""), p.deploy(p.project("other").ID, "")
	a, b := p.claim(p.next()), p.claim(p.next())
	mac := a.job.Token[strings.LastIndexByte(a.job.Token, '_'):]
	for _, forged := range []string{
		"", "mva_", "mva_x", "mv_" + a.job.Token, a.job.Token[:len(a.job.Token)-1], a.job.Token + "0",
		"mva_" + other.ID + ".1" + mac, "mva_" + d.ID + ".2" + mac, fmt.Sprintf("mva_%s.%s", d.ID, "1") + strings.ToUpper(mac),
		"mva_" + d.ID + ".01" + mac, "mva_" + d.ID + ".+1" + mac, strings.TrimPrefix(b.job.Token, "mva_"),
	} {
		if got, err := p.AuthenticateAttempt(t.Context(), forged); controlplane.CodeOf(err) != controlplane.CodeUnauthorized {
			t.Errorf("%q is %+v, %v", forged, got, err)
		}
	}
	files, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: a.job.Project, Kind: controlplane.KindFiles})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Uploads(t.Context(), a.actor, files.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	_, err = p.Publish(t.Context(), a.actor, other.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	if _, err := p.Uploads(t.Context(), actor(p.me), d.ID); controlplane.CodeOf(err) != controlplane.CodeConflict {
		t.Errorf("a person uploads to a build: %v", err)
	}
}
