package controlplane

import (
	"context"
	"time"
)

// followPage is how many lines a follower reads at a time.
const followPage = 500

// followPoll is how often a follower looks for what another control plane kept.
const followPoll = time.Second

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
	if lines, err = s.logs.Lines(ctx, d.Log(), after, limit, q.Query); err != nil {
		return nil, "", err
	}
	if len(lines) == limit {
		last := lines[limit-1]
		next = Cursor{last.Attempt, last.Seq}.String()
	}
	return lines, next, nil
}

// FollowLogs sends a deployment's state, its log from behind a cursor, and then
// lines and states as they come, each line once. The channel is closed when the
// deployment has ended and all was sent, when ctx ends, or the service stops.
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
	f := &follower{s: s, p: p, id: id, log: d.Log(), cursor: cursor, out: make(chan LogEvent), watch: watch}
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

// follower reads one deployment's log for one reader.
type follower struct {
	s      *Service
	p      Principal
	id     string
	log    LogRef
	cursor Cursor
	out    chan LogEvent
	watch  *lineWatcher
}

func (f *follower) run(ctx context.Context, d *Deployment) {
	if !f.send(ctx, LogEvent{State: d}) {
		return
	}
	var poll <-chan time.Time
	if !f.s.config.Exclusive {
		ticker := time.NewTicker(followPoll)
		defer ticker.Stop()
		poll = ticker.C
	}
	told := *d
	f.watch.setLost(true) // what is kept already was not passed on
	for {
		if f.watch.setLost(false) && !f.history(ctx) {
			return
		}
		if told.Status.Ended() && (told.Status != StatusReady || told.LiveAt != nil) {
			// Ended before, or as of what was read after that state.
			f.history(ctx)
			return
		}
		select {
		case lines := <-f.watch.lines:
			if !f.lines(ctx, lines) {
				return
			}
			continue
		case <-f.watch.bell:
		case <-poll:
			f.watch.setLost(true)
		case <-ctx.Done():
			return
		case <-f.s.stopped:
			return
		}
		d, err := f.s.Deployment(ctx, f.p, f.id)
		if err != nil || !f.pending(ctx) {
			return
		}
		if d.UpdatedAt.Equal(told.UpdatedAt) && d.Status == told.Status && d.Phase == told.Phase {
			continue
		}
		if d.Status.Ended() && !f.history(ctx) || !f.send(ctx, LogEvent{State: d}) {
			return
		}
		told = *d
	}
}

// history sends what the log store has behind the cursor.
func (f *follower) history(ctx context.Context) bool {
	for {
		lines, err := f.s.logs.Lines(ctx, f.log, f.cursor, followPage, "")
		if err != nil {
			if ctx.Err() == nil {
				f.s.log.Error("can't read a log for its follower", "deployment", f.id, "error", err)
			}
			return false
		}
		if !f.lines(ctx, lines) {
			return false
		}
		if len(lines) < followPage {
			return true
		}
	}
}

// pending sends what waits in the buffer, so that it comes before the state
// that it led to.
func (f *follower) pending(ctx context.Context) bool {
	for {
		select {
		case lines := <-f.watch.lines:
			if !f.lines(ctx, lines) {
				return false
			}
		default:
			return true
		}
	}
}

// lines sends those lines that are behind the cursor.
func (f *follower) lines(ctx context.Context, lines []LogLine) bool {
	for i := range lines {
		l := lines[i]
		if !f.cursor.Before(l.Attempt, l.Seq) {
			continue
		}
		f.cursor = Cursor{l.Attempt, l.Seq}
		if !f.send(ctx, LogEvent{Line: &l}) {
			return false
		}
	}
	return true
}

func (f *follower) send(ctx context.Context, e LogEvent) bool {
	e.ID = f.cursor.String()
	select {
	case f.out <- e:
		return true
	case <-ctx.Done():
		return false
	case <-f.s.stopped:
		return false
	}
}
