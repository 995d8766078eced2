package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
)

// follower reads a deployment's log as it comes, to its end. A stream that
// breaks, as when the control plane starts anew, is taken up where it was.
type follower struct {
	conn  *connection
	notes io.Writer // sentences for the person who waits
	lines func(*controlplane.LogLine)
	state func(*controlplane.Deployment) // may be nil
	after string                         // id of the last event
	heard bool                           // the last stream said something, if only that it is there
}

const (
	silence   = 50 * time.Second // the control plane says something each 15 s
	patience  = 10 * time.Minute // without a control plane
	firstWait = 250 * time.Millisecond
	mostWait  = 5 * time.Second
	maxEvent  = 4 << 20
)

// run returns nil at the end of the log.
func (f *follower) run(ctx context.Context, id, after string) error {
	f.after = after
	wait, lost := firstWait, time.Time{}
	for {
		before := f.after
		f.heard = false
		err := f.stream(ctx, id)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		var api *publish.APIError
		if errors.As(err, &api) && api.Status < 500 && api.Status != http.StatusTooManyRequests {
			return err
		}
		switch {
		case f.after != before || f.heard:
			wait, lost = firstWait, time.Time{}
		case lost.IsZero():
			lost = time.Now()
			if !errors.Is(err, io.EOF) {
				fmt.Fprintf(f.notes, "The log is interrupted (%s); waiting for the control plane\n", harmless(err.Error(), false))
			}
		case time.Since(lost) > patience:
			return fmt.Errorf("the control plane has not answered for %s: %w", patience, err)
		}
		pause := wait
		if api != nil {
			pause = max(pause, api.RetryAfter)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, mostWait)
	}
}

// stream reads one connection's events. It returns nil at the log's end, and
// io.EOF where the connection ends before.
func (f *follower) stream(ctx context.Context, id string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	call := publish.Call{Method: http.MethodGet, Path: "/deployments/" + id + "/logs/stream", Header: http.Header{"Accept": {"text/event-stream"}}}
	if f.after != "" {
		call.Header.Set("Last-Event-ID", f.after)
	}
	res, err := f.conn.Stream(ctx, call)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	events := bufio.NewScanner(res.Body)
	events.Buffer(make([]byte, 64<<10), maxEvent)
	var name, eventID string
	var data strings.Builder
	for events.Scan() {
		f.heard = true
		quiet.Reset(silence)
		field, value, _ := strings.Cut(events.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "id":
			eventID = value
		case "data":
			if data.Len() > 0 {
				data.WriteByte('\n')
			}
			data.WriteString(value)
		case "":
			if events.Text() != "" || name == "" && data.Len() == 0 {
				continue // a comment, or nothing
			}
			end, err := f.take(name, data.String())
			if err != nil || end {
				return err
			}
			if eventID != "" {
				f.after = eventID
			}
			name, eventID = "", ""
			data.Reset()
		}
	}
	if err := events.Err(); err != nil {
		return err
	}
	return io.EOF
}

func (f *follower) take(name, data string) (end bool, err error) {
	switch name {
	case "line":
		var line controlplane.LogLine
		if err := json.Unmarshal([]byte(data), &line); err != nil {
			return false, fmt.Errorf("the log's line can't be read: %w", err)
		}
		f.lines(&line)
	case "state":
		var d controlplane.Deployment
		if err := json.Unmarshal([]byte(data), &d); err != nil {
			return false, fmt.Errorf("the deployment's state can't be read: %w", err)
		}
		if f.state != nil {
			f.state(&d)
		}
	case "history":
		var history controlplane.LogHistory
		if err := json.Unmarshal([]byte(data), &history); err != nil {
			return false, fmt.Errorf("the state of the log's history can't be read: %w", err)
		}
		if history.Delayed {
			fmt.Fprintln(f.notes, "Older lines are delayed: the log store is not reachable")
		}
	case "end":
		return true, nil
	}
	return false, nil
}

// logPrinter writes log lines, coloured where they go to a terminal, with a
// line before each phase.
type logPrinter struct {
	out     io.Writer
	colours bool
	attempt int
	phase   string
}

func newLogPrinter(out io.Writer) *logPrinter {
	return &logPrinter{out: out, colours: isTerminal(out)}
}

func (p *logPrinter) print(line *controlplane.LogLine) {
	if p.attempt != 0 && line.Attempt != p.attempt {
		fmt.Fprintf(p.out, "── attempt %d\n", line.Attempt)
		p.phase = ""
	}
	p.attempt = line.Attempt
	if phase := string(line.Phase); phase != "" && phase != p.phase {
		p.phase = phase
		fmt.Fprintf(p.out, "── %s\n", harmless(phase, false))
	}
	fmt.Fprintln(p.out, harmless(line.Text, p.colours))
}
