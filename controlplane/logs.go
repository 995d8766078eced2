package controlplane

import (
	"context"
	"errors"
	"time"
)

const (
	followPage   = 500             // lines that a follower reads at a time
	followBuffer = 64              // events that wait for its reader
	followPoll   = time.Second     // between two looks at what nobody rings for
	followTime   = 5 * time.Second // for the log store or the stream to answer

	// endWait is how long after its end a deployment's log may have lines that the
	// log store lacks and a stream that does not answer has.
	endWait = time.Minute

	// storedAge is how old a deployment's end may be for it to be worth a look
	// whether all of its log is stored, and storedWait how long a reader waits: for
	// longer than clocks may differ, since a stream that is never at rest knows
	// only then what came before.
	storedAge  = 24 * time.Hour
	storedWait = 8 * time.Second
	storedPoll = 50 * time.Millisecond
)

// Logs returns lines of a deployment's log. Next is the cursor behind the last
// one where there may be more.
func (s *Service) Logs(ctx context.Context, p Principal, id string, q LogQuery) (lines []LogLine, next string, err error) {
	after, err := ParseCursor(q.After)
	if err != nil {
		return nil, "", err
	}
	d, err := s.Deployment(ctx, p, id)
	if err != nil {
		return nil, "", err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 1000
	}
	limit = min(limit, 5000)
	if after == (Cursor{}) {
		if err := s.awaitStored(ctx, d); err != nil {
			return nil, "", err
		}
	}
	if lines, err = s.logs.Lines(ctx, d.Log(), after, limit, q.Query); err != nil {
		return nil, "", s.unreadableLog(id, err)
	}
	if len(lines) == limit {
		last := lines[limit-1]
		next = Cursor{last.Attempt, last.Seq}.String()
	}
	return lines, next, nil
}

// awaitStored waits for the log store to get the end of a log that has ended: a
// reader takes what there is for all there will be. Where the stream does not
// answer, what there is will do.
func (s *Service) awaitStored(ctx context.Context, d *Deployment) error {
	if d.EndedAt == nil || s.now().Sub(*d.EndedAt) > storedAge {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storedWait)
	defer cancel()
	ticker := time.NewTicker(storedPoll)
	defer ticker.Stop()
	for answered := false; ; {
		stored, err := s.stream.Stored(ctx, d.Log(), *d.EndedAt)
		if stored || err != nil && !answered {
			return nil
		}
		answered = true
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return Errorf(CodeUnavailable, "The log store does not have all of this log yet: try again in a moment, or follow the log.")
		}
	}
}

// FollowLogs sends a deployment's state, its log from behind a cursor, and then
// lines and states as they come, each line once, and an end when the deployment
// has ended and all was sent. The channel is closed behind it, when ctx ends, and
// when the service stops.
func (s *Service) FollowLogs(ctx context.Context, p Principal, id, after string) (<-chan LogEvent, error) {
	cursor, err := ParseCursor(after)
	if err != nil {
		return nil, err
	}
	watch := s.lines.follow(id) // before the state is read: no change is missed
	d, err := s.Deployment(ctx, p, id)
	if err != nil {
		s.lines.leave(watch)
		return nil, err
	}
	f := &follower{s: s, p: p, id: id, log: d.Log(), cursor: cursor, out: make(chan LogEvent, followBuffer), watch: watch}
	run := func() {
		defer close(f.out)
		defer s.lines.leave(f.watch)
		f.run(ctx, d)
	}
	if !s.spawn(run) {
		s.lines.leave(f.watch)
		return nil, errStopping
	}
	return f.out, nil
}

// follower reads one deployment's log for one reader: what the log store has,
// and then what the stream's tail brings. Where the log store does not answer it
// reads everything from the stream.
type follower struct {
	s      *Service
	p      Principal
	id     string
	log    LogRef
	cursor Cursor
	out    chan LogEvent
	watch  *lineWatcher

	tail     Tail  // nil: there is none at the moment
	position int64 // behind what the tail has given
	stored   bool  // the log store has answered last
	delayed  bool  // what the reader was told
	silent   bool  // there was no tail last
}

// errReaderGone ends a follower whose reader is gone, or whose service stops.
var errReaderGone = errors.New("the reader of a log is gone")

func (f *follower) run(ctx context.Context, d *Deployment) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer f.leaveTail()
	err := f.follow(ctx, d)
	if err != nil && !errors.Is(err, errReaderGone) && CodeOf(err) == "" && ctx.Err() == nil {
		f.s.log.Error("can't follow a log", "deployment", f.id, "error", err)
	}
}

func (f *follower) follow(ctx context.Context, d *Deployment) error {
	if err := f.send(ctx, LogEvent{State: d}); err != nil {
		return err
	}
	if err := f.begin(ctx); err != nil {
		return err
	}
	told := *d
	ticker := time.NewTicker(followPoll)
	defer ticker.Stop()
	for {
		if told.Status.Ended() && (told.Status != StatusReady || told.LiveAt != nil) {
			// Ended before, or as of what was published before that state.
			all, err := f.catchUp(ctx)
			if err != nil {
				return err
			}
			if all || f.sentLongAgo(told) {
				return f.send(ctx, LogEvent{End: true})
			}
		}
		var lines <-chan TailLines
		if f.tail != nil {
			lines = f.tail.Lines()
		}
		select {
		case some, open := <-lines:
			if err := f.take(ctx, some, open); err != nil {
				return err
			}
			continue
		case <-f.watch.bell:
		case <-ticker.C:
			looked, err := f.look(ctx)
			if err != nil {
				return err
			}
			if !looked {
				continue
			}
		case <-ctx.Done():
			return errReaderGone
		case <-f.s.stopped:
			return errReaderGone
		}
		d, err := f.s.Deployment(ctx, f.p, f.id)
		if err != nil {
			return err
		}
		if d.UpdatedAt.Equal(told.UpdatedAt) && d.Status == told.Status && d.Phase == told.Phase {
			continue
		}
		// The lines that led to the state come before it.
		if f.tail == nil {
			if err := f.begin(ctx); err != nil {
				return err
			}
		}
		if _, err := f.catchUp(ctx); err != nil {
			return err
		}
		if err := f.send(ctx, LogEvent{State: d}); err != nil {
			return err
		}
		told = *d
	}
}

// begin opens a tail and sends what came before it.
func (f *follower) begin(ctx context.Context) error {
	f.leaveTail()
	tail, noTail := f.openTail(ctx, false)
	stored, err := f.history(ctx)
	if err == nil && !stored && noTail == nil {
		tail.Close()
		tail, noTail = f.openTail(ctx, true)
	}
	if noTail == nil {
		f.tail, f.position = tail, 0
	} else if ctx.Err() == nil && !errors.Is(noTail, ErrNotWhole) && !f.silent {
		f.s.log.Warn("no lines come from the stream", "deployment", f.id, "error", noTail)
	}
	f.silent = noTail != nil
	return err
}

func (f *follower) openTail(ctx context.Context, whole bool) (Tail, error) {
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	return f.s.stream.Tail(ctx, f.log, whole)
}

func (f *follower) leaveTail() {
	if f.tail != nil {
		f.tail.Close()
		f.tail = nil
	}
}

// take sends lines of the tail, or begins anew where it has lost some.
func (f *follower) take(ctx context.Context, some TailLines, open bool) error {
	if !open {
		return f.begin(ctx)
	}
	f.position = some.Position
	if f.others() {
		// Earlier lines may be there that another control plane has stored.
		_, err := f.history(ctx)
		return err
	}
	return f.lines(ctx, some.Lines)
}

// others reports whether other control planes store lines that the tail does not
// bring.
func (f *follower) others() bool { return !f.s.config.Exclusive && !f.s.stream.Everywhere() }

// look tries again what has failed, and reads what no tail brings: the lines
// that another control plane has kept. It reports whether the deployment may
// have changed, too, without a bell.
func (f *follower) look(ctx context.Context) (bool, error) {
	switch {
	case f.tail == nil:
		return !f.s.config.Exclusive, f.begin(ctx)
	case !f.stored:
		// The tail brings everything; it is enough to know.
		_, err := f.page(ctx, 1)
		return false, err
	case f.others():
		_, err := f.history(ctx)
		return true, err
	}
	return false, nil // a bell rings, whichever control plane changes it
}

// catchUp sends all that was published before, and reports whether it could.
func (f *follower) catchUp(ctx context.Context) (all bool, err error) {
	if f.tail == nil {
		return false, nil
	}
	if f.others() {
		if stored, err := f.history(ctx); err != nil || !stored {
			return false, err
		}
	}
	wait, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	end, err := f.tail.End(wait)
	if err != nil {
		f.leaveTail()
		return false, nil // look begins anew
	}
	for f.tail != nil && f.position < end {
		select {
		case some, open := <-f.tail.Lines():
			if err := f.take(ctx, some, open); err != nil {
				return false, err
			}
			if !open {
				return false, nil
			}
		case <-wait.Done():
			return false, ctx.Err()
		case <-f.s.stopped:
			return false, errReaderGone
		}
	}
	return f.tail != nil, nil
}

// sentLongAgo reports whether all that there will be was sent though the stream
// does not answer: the log store has had the time to get it.
func (f *follower) sentLongAgo(d Deployment) bool {
	return f.tail == nil && f.stored && d.EndedAt != nil && f.s.now().Sub(*d.EndedAt) > endWait
}

// history sends what the log store has behind the cursor, and reports whether
// it has answered.
func (f *follower) history(ctx context.Context) (stored bool, err error) {
	for {
		lines, err := f.page(ctx, followPage)
		if err != nil || !f.stored {
			return false, err
		}
		if err := f.lines(ctx, lines); err != nil {
			return false, err
		}
		if len(lines) < followPage {
			return true, nil
		}
	}
}

// page reads lines behind the cursor and notes whether the log store answers.
func (f *follower) page(ctx context.Context, limit int) ([]LogLine, error) {
	read, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	lines, err := f.s.logs.Lines(read, f.log, f.cursor, limit, "")
	if ctx.Err() != nil {
		return nil, errReaderGone
	}
	if f.stored = err == nil; f.stored != f.delayed {
		return lines, nil
	}
	f.delayed = !f.stored
	if f.delayed {
		f.s.log.Warn("can't read a log for its follower", "deployment", f.id, "error", err)
	}
	return lines, f.send(ctx, LogEvent{History: &LogHistory{Delayed: f.delayed}})
}

// lines sends those lines that are behind the cursor.
func (f *follower) lines(ctx context.Context, lines []LogLine) error {
	for i := range lines {
		l := lines[i]
		if !f.cursor.Before(l.Attempt, l.Seq) {
			continue
		}
		f.cursor = Cursor{l.Attempt, l.Seq}
		if err := f.send(ctx, LogEvent{Line: &l}); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) send(ctx context.Context, e LogEvent) error {
	e.ID = f.cursor.String()
	select {
	case f.out <- e:
		return nil
	case <-ctx.Done():
		return errReaderGone
	case <-f.s.stopped:
		return errReaderGone
	}
}
