package report

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Flush returns when everything reported so far has been delivered, or says why
// it can't be.
func (r *Reporter) Flush(ctx context.Context) error {
	r.flushLines()
	for {
		r.mu.Lock()
		changed, over, err := r.changed, r.over, r.err
		empty := r.spool.empty()
		r.mu.Unlock()
		switch {
		case over:
			return ErrOver
		case err != nil:
			return err
		case empty:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Publishing delivers everything and from then on disregards what the control
// plane answers: a deployment that has been published voids the token while
// the builder has yet to hear of it. Where the control plane takes no events for
// too long, a site that lacks the end of its log is better than none.
func (r *Reporter) Publishing(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, r.o.Timing.Last)
	defer cancel()
	if err := r.Flush(wait); err != nil && (ctx.Err() != nil || wait.Err() == nil) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = true
	return nil
}

// Close ends the reporter at once. What is not delivered is lost: Flush first.
func (r *Reporter) Close() {
	r.timer.Stop()
	r.stop()
	r.done.Wait()
	r.spool.file.Close()
}

func (r *Reporter) heartbeats(ctx context.Context) {
	ticker := time.NewTicker(r.o.Timing.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		if !r.beat { // also while publishing, which may take its time
			r.beat = true
			r.add(site.Event{Type: site.EventHeartbeat})
		}
		r.mu.Unlock()
	}
}

// deliver sends batches until the attempt is over or the reporter is closed. One
// that is not taken is sent again, however long that takes, with what has come
// meanwhile: states behind lines that can't be kept are told all the same.
func (r *Reporter) deliver(ctx context.Context) {
	wait := r.o.Timing.Least
	for {
		lines, taken, err := r.spool.peek(batchBytes)
		if err == nil && len(lines) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
				continue
			}
		}
		if err == nil {
			var again bool
			if again, err = r.send(ctx, batch(lines)); again {
				if sleep(ctx, wait/2+rand.N(wait)) != nil {
					return
				}
				wait = min(2*wait, r.o.Timing.Most)
				continue
			}
			wait = r.o.Timing.Least
			if err == nil {
				err = r.spool.drop(taken)
			}
		}
		if ctx.Err() != nil {
			return
		}
		over := errors.Is(err, ErrOver)
		r.mu.Lock()
		if over {
			r.over = true
		} else {
			r.err = errors.Join(r.err, err)
		}
		r.beat = false
		quiet := r.deaf
		close(r.changed)
		r.changed = make(chan struct{})
		r.mu.Unlock()
		if err != nil {
			if !quiet {
				r.o.Over(err)
			}
			return
		}
	}
}

// send tries once to deliver a batch. Again is whether another try may do.
func (r *Reporter) send(ctx context.Context, batch []byte) (again bool, err error) {
	try, cancel := context.WithTimeout(ctx, r.o.Timing.Send)
	defer cancel()
	canceled, err := r.o.Send(try, batch)
	var refused *RefusedError
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err == nil && canceled:
		return false, ErrOver
	case err == nil, errors.Is(err, ErrOver), errors.As(err, &refused):
		return false, err
	}
	slog.Debug("the control plane took no events", "error", err)
	return true, err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func batch(lines [][]byte) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, line := range lines {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(line)
	}
	b.WriteByte(']')
	return b.Bytes()
}
