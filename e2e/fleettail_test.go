//go:build e2e

package e2e

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// logTail follows a deployment's log to its end, as the dashboard does: where the
// stream breaks it is opened again, at whichever control plane answers, from
// behind the last event that came.
type logTail struct {
	f      *fleet
	id     string
	url    string // of the balancer, or of one control plane
	lines  []controlplane.LogLine
	last   string // id of the last event
	opened int    // how often it was
	retry  time.Duration
	ended  chan struct{} // closed at the end, or where it was given up
	err    error         // why it was given up
}

// refusedRetry is how long the dashboard waits after an answer that is no stream.
const refusedRetry = 3 * time.Second

// follow begins to follow a log at the balancer, or at one control plane.
func (f *fleet) follow(id, url string) *logTail {
	l := &logTail{f: f, id: id, url: cmp.Or(url, f.lb.url), retry: time.Second, ended: make(chan struct{})}
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Minute)
	go func() {
		defer close(l.ended)
		defer cancel()
		for {
			end, wait := l.read(ctx)
			if end {
				return
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				l.err = fmt.Errorf("no end came: %d lines to %s, opened %d times", len(l.lines), l.last, l.opened)
				return
			}
		}
	}()
	f.t.Cleanup(func() { cancel(); <-l.ended })
	return l
}

// read follows one connection until it breaks.
func (l *logTail) read(ctx context.Context) (end bool, wait time.Duration) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/deployments/"+l.id+"/logs/stream", nil)
	if err != nil {
		l.f.t.Error(err)
		return true, 0
	}
	req.Header.Set("Authorization", "Bearer "+l.f.token)
	if l.last != "" {
		req.Header.Set("Last-Event-ID", l.last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, l.retry
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, refusedRetry
	}
	l.opened++
	var name, id, data string
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 4<<20)
	for in.Scan() {
		field, value, _ := strings.Cut(in.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			data = value
		case "retry":
			if n, err := strconv.Atoi(value); err == nil {
				l.retry = time.Duration(n) * time.Millisecond
			}
		}
		if in.Text() != "" {
			continue
		}
		l.last = cmp.Or(id, l.last)
		switch name {
		case "end":
			return true, 0
		case "line":
			l.add(data)
		}
		name, id, data = "", "", ""
	}
	return false, l.retry
}

// add takes a line: none comes twice, none out of its order.
func (l *logTail) add(data string) {
	var line controlplane.LogLine
	if err := json.Unmarshal([]byte(data), &line); err != nil {
		l.f.t.Errorf("a line of %s can't be read: %v: %q", l.id, err, data)
		return
	}
	if n := len(l.lines); n > 0 {
		before := l.lines[n-1]
		if cmp.Or(cmp.Compare(line.Attempt, before.Attempt), cmp.Compare(line.Seq, before.Seq)) <= 0 {
			l.f.t.Errorf("the tail of %s, opened %d times, shows line %s behind %s", l.id, l.opened, place(line), place(before))
		}
	}
	l.lines = append(l.lines, line)
}

func place(l controlplane.LogLine) string {
	return controlplane.Cursor{Attempt: l.Attempt, Seq: l.Seq}.String()
}

// check waits for the end, and compares what was seen with what a reader gets who
// comes later: nothing was lost.
func (l *logTail) check() {
	t := l.f.t
	t.Helper()
	<-l.ended
	if l.err != nil {
		t.Errorf("the tail of %s: %v", l.id, l.err)
		return
	}
	shown := func(lines []controlplane.LogLine) (out []string) {
		for _, line := range lines {
			out = append(out, place(line)+" "+line.Text)
		}
		return out
	}
	seen := shown(l.lines)
	var stored []string
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		// History may come late, as the log store catches up.
		if stored = shown(l.f.history(l.id)); slices.Equal(seen, stored) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("the tail of %s, opened %d times, has shown %d lines:\n%s\nits log has %d:\n%s", l.id, l.opened, len(seen), strings.Join(seen, "\n"), len(stored), strings.Join(stored, "\n"))
			return
		}
	}
}

// history reads a log from its beginning.
func (f *fleet) history(id string) (lines []controlplane.LogLine) {
	f.t.Helper()
	for after := ""; ; {
		var page struct {
			Items []controlplane.LogLine
			Next  string
		}
		f.must(http.MethodGet, "/deployments/"+id+"/logs?limit=1000&after="+after, nil, nil, &page)
		lines = append(lines, page.Items...)
		if after = page.Next; after == "" {
			return lines
		}
	}
}
