package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// ErrOver says that the control plane does not want the attempt any more: it
// was canceled, or its token is void.
var ErrOver = errors.New("the attempt is over: the control plane has ended it")

// Options say what is reported to whom.
type Options struct {
	// Send delivers a batch, a JSON array of events, in one try, and reports
	// whether the attempt is canceled. An error that is [ErrOver] is final, one
	// that is a [RefusedError] is the end of the batch; after any other the
	// batch is sent again, with what has come since.
	Send func(ctx context.Context, batch []byte) (canceled bool, err error)

	Job       *site.Job
	SpoolPath string           // a file that is made, in a directory of the builder's own
	Over      func(error)      // called once if the attempt is over before Close; the error is ErrOver
	Now       func() time.Time // nil: time.Now
	Timing    Timing
}

// Timing are the times that a reporter keeps. Zero values stand for the
// defaults.
type Timing struct {
	Lines     time.Duration // how long log lines are gathered; 100 ms
	Heartbeat time.Duration // 10 s
	Least     time.Duration // wait before the second try; it doubles from then on. 200 ms
	Most      time.Duration // longest wait between tries; 5 s
	Send      time.Duration // of one try; 20 s
	Last      time.Duration // how long a finished build waits for its log; 2 min
}

const (
	linesBytes = 64 << 10  // of one log event, without what JSON adds
	batchBytes = 1 << 20   // of one delivery; what the control plane takes is 4 MiB
	spoolBytes = 256 << 20 // more than a log within its limit ever needs
)

// RefusedError is an answer that will be the same when the batch is sent again.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }

func (e *RefusedError) Unwrap() error { return e.Err }

// Reporter numbers the events of one attempt and delivers them in order.
type Reporter struct {
	o     Options
	spool *spool

	mu      sync.Mutex
	next    int64
	phase   site.Phase
	lines   []site.LogLine // gathered, not in the spool yet
	size    int
	beat    bool  // a heartbeat waits to be delivered: one is enough
	lost    int   // lines that had no room
	err     error // of the spool
	over    bool
	deaf    bool // what is answered is not acted on any more
	timer   *time.Timer
	changed chan struct{} // closed and replaced when something was delivered

	wake chan struct{}
	stop context.CancelFunc
	done sync.WaitGroup
}

// New starts a reporter. Close ends it.
func New(o Options) (*Reporter, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Timing = o.Timing.withDefaults()
	spool, err := newSpool(o.SpoolPath, spoolBytes)
	if err != nil {
		return nil, err
	}
	r := &Reporter{o: o, spool: spool, next: 1, wake: make(chan struct{}, 1), changed: make(chan struct{})}
	r.timer = time.AfterFunc(time.Hour, r.flushLines)
	r.timer.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.done.Go(func() { r.deliver(ctx) })
	r.done.Go(func() { r.heartbeats(ctx) })
	return r, nil
}

func (t Timing) withDefaults() Timing {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Lines, 100 * time.Millisecond}, {&t.Heartbeat, 10 * time.Second},
		{&t.Least, 200 * time.Millisecond}, {&t.Most, 5 * time.Second}, {&t.Send, 20 * time.Second}, {&t.Last, 2 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// Started says that the builder has its job.
func (r *Reporter) Started() { r.event(site.Event{Type: site.EventStarted}) }

// Phase says that a phase begins.
func (r *Reporter) Phase(phase site.Phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(site.Event{Type: site.EventPhase, Phase: phase})
	r.phase = phase
}

// Source tells facts of the commit and what was detected.
func (r *Reporter) Source(s site.Source) {
	r.event(site.Event{Type: site.EventSource, Source: &s})
}

// Detected tells what a detection found.
func (r *Reporter) Detected(d site.Detection) {
	r.event(site.Event{Type: site.EventDetected, Detected: &d})
}

// Failed says that the attempt is over, and why.
func (r *Reporter) Failed(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(site.Event{Type: site.EventFailed, Phase: r.phase, Reason: reason})
}

// Line adds a line to the log.
func (r *Reporter) Line(line site.LogLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) == 0 {
		r.timer.Reset(r.o.Timing.Lines)
	}
	r.lines = append(r.lines, line)
	if r.size += len(line.Text); r.size >= linesBytes || len(r.lines) >= 1000 {
		r.addLines()
	}
}

func (r *Reporter) event(e site.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(e)
}

func (r *Reporter) flushLines() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addLines()
}

// addLines puts the gathered lines into the spool as one event.
func (r *Reporter) addLines() {
	if len(r.lines) == 0 {
		return
	}
	lines := r.lines
	r.lines, r.size = nil, 0
	if r.lost > 0 {
		note := fmt.Sprintf("%d lines are missing here: the control plane did not answer for too long.", r.lost)
		lines = append([]site.LogLine{{Time: lines[0].Time, Stream: site.System, Text: note}}, lines...)
	}
	if r.put(site.Event{Type: site.EventLog, Phase: r.phase, Lines: lines}) {
		r.lost = 0
	} else {
		r.lost += len(lines)
	}
}

// add puts an event into the spool, behind the lines that came before it.
func (r *Reporter) add(e site.Event) {
	r.addLines()
	r.put(e)
}

func (r *Reporter) put(e site.Event) bool {
	e.Version, e.Deployment, e.Attempt = site.EventVersion, r.o.Job.Deployment, r.o.Job.Attempt
	e.Seq, e.Time = r.next, r.o.Now().UTC()
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false) // six bytes for one of a log's many angle brackets
	err := encoder.Encode(e)
	if err == nil {
		err = r.spool.put(bytes.TrimSuffix(encoded.Bytes(), []byte("\n")), e.Type != site.EventLog)
	}
	if err != nil {
		if !errors.Is(err, errSpoolFull) {
			r.err = errors.Join(r.err, err)
		}
		return false
	}
	r.next += e.Numbers()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return true
}
