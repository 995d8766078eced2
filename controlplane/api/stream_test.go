package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// message is one server-sent event, or a comment.
type message struct{ id, name, data, comment string }

// events reads a stream.
type events struct {
	t    testing.TB
	body io.ReadCloser
	c    chan message
}

func (c *client) follow(path string, header ...string) *events {
	c.p.t.Helper()
	res, err := http.DefaultClient.Do(c.request("GET", path, nil, header...))
	if err != nil {
		c.p.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		c.p.t.Fatalf("%s: %s %v", path, res.Status, res.Header)
	}
	e := &events{t: c.p.t, body: res.Body, c: make(chan message, 100_000)}
	c.p.t.Cleanup(func() { res.Body.Close() })
	go func() {
		defer close(e.c)
		var m message
		for scan := bufio.NewScanner(res.Body); scan.Scan(); {
			switch field, value, _ := strings.Cut(scan.Text(), ": "); field {
			case "id":
				m.id = value
			case "event":
				m.name = value
			case "data":
				m.data = value
			case "":
				if value != "" {
					m.comment = value
					continue
				}
				e.c <- m
				m = message{}
			}
		}
	}()
	return e
}

// next returns the next event that is no comment; false at the stream's end.
func (e *events) next() (message, bool) {
	e.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case m, ok := <-e.c:
			if ok && m.comment != "" {
				continue
			}
			return m, ok
		case <-deadline:
			e.t.Fatal("the stream is silent")
		}
	}
}

func (e *events) until(name string) (before []message, found message) {
	e.t.Helper()
	for {
		m, ok := e.next()
		if !ok {
			e.t.Fatalf("the stream ended before %q", name)
		}
		if m.name == name {
			return before, m
		}
		before = append(before, m)
	}
}

func TestALogStreamResumesWithoutLossOrRepeat(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	d, builder, job := owner.build(owner.project("streamed").ID)
	path := "/deployments/" + d.ID + "/logs/stream"
	var want, got []string
	seq := int64(1)
	report := func(n int) {
		var texts []string
		for range n {
			texts = append(texts, fmt.Sprintf("line %d", len(want)+1))
			want = append(want, texts[len(texts)-1])
		}
		builder.report(job, seq, lines(texts...))
		seq += int64(n)
	}
	read := func(stream *events, n int) string {
		t.Helper()
		last := ""
		for n > 0 {
			m, ok := stream.next()
			if !ok {
				t.Fatal("ended")
			}
			if m.name != "line" {
				continue
			}
			var line controlplane.LogLine
			if err := json.Unmarshal([]byte(m.data), &line); err != nil {
				t.Fatal(err)
			}
			if m.id != fmt.Sprintf("%d-%d", line.Attempt, line.Seq) {
				t.Fatalf("id %s of %+v", m.id, line)
			}
			got, last = append(got, line.Text), m.id
			n--
		}
		return last
	}
	builder.report(job, seq, site.Event{Type: site.EventStarted})
	seq++
	report(700) // more than one page of history
	stream := owner.follow(path)
	read(stream, 600)
	report(50) // while it is read
	last := read(stream, 100)
	stream.body.Close()
	report(30) // while nobody reads
	stream = owner.follow(path, "Last-Event-ID", last)
	report(20)
	last = read(stream, 100)
	stream.body.Close()
	// after does the same for those who can't set the header; the header wins.
	stream = owner.follow(path+"?after=1-1", "Last-Event-ID", last)
	builder.report(job, seq, site.Event{Type: site.EventFailed, Phase: site.PhaseBuild, Reason: "The build ended with exit code 7."})
	before, _ := stream.until("end")
	for _, m := range before {
		if m.name == "line" {
			t.Errorf("after the end of the log: %+v", m)
		}
	}
	var state controlplane.Deployment
	if err := json.Unmarshal([]byte(before[len(before)-1].data), &state); err != nil || state.Status != controlplane.StatusFail {
		t.Errorf("the last state: %v %+v", err, state)
	}
	if m, ok := stream.next(); ok {
		t.Errorf("after the end: %+v", m)
	}
	if len(got) != len(want) || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("%d lines of %d, first %q, last %q", len(got), len(want), got[0], got[len(got)-1])
	}

	// The same lines by pages, as a search, and as a file.
	var all []string
	for after := ""; ; {
		var page api.Page[controlplane.LogLine]
		owner.do("GET", "/deployments/"+d.ID+"/logs?limit=300&after="+after, nil).is(http.StatusOK).into(&page)
		for _, line := range page.Items {
			all = append(all, line.Text)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if strings.Join(all, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d lines by pages", len(all))
	}
	var found api.Page[controlplane.LogLine]
	if owner.do("GET", "/deployments/"+d.ID+"/logs?q=LINE+77", nil).is(http.StatusOK).into(&found); len(found.Items) != 11 {
		t.Errorf("%d lines found", len(found.Items))
	}
	file := owner.do("GET", "/deployments/"+d.ID+"/logs?format=text", nil).is(http.StatusOK)
	if string(file.body) != strings.Join(want, "\n")+"\n" || !strings.Contains(file.Header.Get("Content-Disposition"), "attachment") ||
		!strings.HasPrefix(file.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("the file: %v, %d bytes", file.Header, len(file.body))
	}
	owner.do("GET", path+"?after=nonsense", nil).is(http.StatusUnprocessableEntity).field("after")
	owner.do("GET", path, nil, "Last-Event-ID", "1-x").is(http.StatusUnprocessableEntity).field("after")
}

func TestALogOfHostileTextIsOnlyText(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	d, builder, job := owner.build(owner.project("hostile").ID)
	hostile := []string{"\x1b[2J\x1b]0;title\x07", "data: x", "event: end", "a\rb", "\u2028<script>alert(1)</script>", `{"type":"failed","reason":"no"}`, strings.Repeat("x", 16<<10)}
	builder.report(job, 1, lines(hostile...))
	stream := owner.follow("/deployments/" + d.ID + "/logs/stream")
	for _, want := range hostile {
		_, m := stream.until("line")
		var line controlplane.LogLine
		if err := json.Unmarshal([]byte(m.data), &line); err != nil || line.Text != want {
			t.Errorf("%q instead of %q, %v", line.Text, want, err)
		}
	}
	var now controlplane.Deployment
	if owner.do("GET", "/deployments/"+d.ID, nil).into(&now); now.Status != controlplane.StatusInProgress {
		t.Errorf("a log changed the state: %+v", now)
	}
}

func TestStreamsStayAliveCountOnceAndEndWithTheServer(t *testing.T) {
	p := newPlane(t, rates(api.Rates{Logs: 2}), func(p *plane) { p.options.KeepAlive = 10 * time.Millisecond })
	owner := p.owner()
	d, _, _ := owner.build(owner.project("alive").ID)
	path := "/deployments/" + d.ID + "/logs/stream"
	log := owner.follow(path)
	for alive := 0; alive < 3; {
		m, ok := <-log.c
		if !ok {
			t.Fatal("the stream ended")
		}
		if m.comment == "alive" {
			alive++
		}
	}
	owner.follow(path)
	owner.do("GET", path, nil).is(http.StatusTooManyRequests)

	changes := owner.follow("/events")
	if m := <-changes.c; m.comment != "hello" {
		t.Errorf("first: %+v", m)
	}
	// One that leaves tells balancers, and answers all the same.
	if r := owner.do("GET", "/projects", nil).is(http.StatusOK); r.Close {
		t.Error("a connection ends though nobody leaves")
	}
	p.anonymous().do("GET", "/ready?part=database", nil).is(http.StatusOK)
	p.anonymous().do("GET", "/ready?part=databse", nil).is(http.StatusUnprocessableEntity)
	close(p.leaving)
	p.anonymous().do("GET", "/ready?part=database", nil).is(http.StatusServiceUnavailable)
	if r := owner.do("GET", "/projects", nil).is(http.StatusOK); !r.Close {
		t.Error("a connection to a control plane that leaves goes on")
	}
	owner.do("POST", "/projects", map[string]string{"name": "made meanwhile"}).is(http.StatusCreated)
	if m, open := changes.next(); !open || m.name != "change" {
		t.Errorf("a stream of one that leaves: %+v %v", m, open)
	}
	close(p.draining)
	for _, stream := range []*events{log, changes} {
		for {
			m, ok := stream.next()
			if !ok {
				break
			}
			if m.name == "end" {
				t.Error("a server that stops is not the end of a log")
			}
		}
	}
	p.anonymous().do("GET", "/ready", nil).is(http.StatusServiceUnavailable)
	// HEAD has no body to wait for.
	owner.do("HEAD", "/events", nil)
}

func TestAStreamEndsWithTheSignInThatOpenedIt(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.options.KeepAlive = 10 * time.Millisecond })
	owner := p.owner()
	var made api.NewToken
	owner.do("POST", "/tokens", map[string]string{"name": "x", "scope": "read"}).is(http.StatusCreated).into(&made)
	byToken, bySession := p.bearer(made.Token).follow("/events"), owner.follow("/events")
	<-byToken.c
	<-bySession.c
	owner.do("DELETE", "/tokens/"+made.ID, nil).is(http.StatusNoContent)
	if m, ok := byToken.next(); ok {
		t.Errorf("a revoked token sees %+v", m)
	}
	if m := <-bySession.c; m.comment != "alive" {
		t.Errorf("%+v", m)
	}
	owner.do("POST", "/auth/logout", nil).is(http.StatusNoContent)
	if m, ok := bySession.next(); ok {
		t.Errorf("who is signed out sees %+v", m)
	}
}

func TestOneUserHasOnlySoManyStreamsOpen(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.options.Rates.Streams = 2 })
	owner := p.owner()
	first, second := owner.follow("/events"), owner.follow("/events")
	<-first.c
	<-second.c
	if r := owner.do("GET", "/events", nil).is(http.StatusTooManyRequests); r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	p.second(owner).follow("/events")
	first.body.Close()
	// The server notices by itself that the client is gone.
	deadline := time.Now().Add(20 * time.Second)
	for {
		res, err := http.DefaultClient.Do(owner.request("GET", "/events", nil))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a closed stream still counts")
		}
	}
}

func TestChangesReachThoseWhoMaySeeThem(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	second := p.second(owner)
	theirs := second.follow("/events")
	ours := owner.follow("/events")
	<-theirs.c // hello: they are connected
	<-ours.c
	project := owner.project("watched")
	mine := second.project("mine")
	var change controlplane.Change
	_, m := ours.until("change")
	if err := json.Unmarshal([]byte(m.data), &change); err != nil || change.Project != project.ID || change.Type != "project" {
		t.Errorf("%v %+v", err, change)
	}
	_, m = theirs.until("change")
	if err := json.Unmarshal([]byte(m.data), &change); err != nil || change.Project != mine.ID {
		t.Errorf("%v %+v", err, change)
	}
}
