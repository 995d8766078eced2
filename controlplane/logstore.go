package controlplane

import (
	"context"
	"errors"
	"time"
)

// LogStore keeps the lines of builds' logs. Any method may be called by many
// goroutines at once, and on several control planes.
type LogStore interface {
	// Append keeps lines of any number of deployments. A line is named by its
	// deployment, attempt and seq: the same line again is kept once. Where it
	// fails some may be kept: append all of them again. Lines of a deleted log
	// are dropped.
	Append(ctx context.Context, batches ...LogBatch) error

	// Lines returns up to limit lines after a cursor, in the order of attempt
	// and seq; those that contain query, in any case, where there is one.
	Lines(ctx context.Context, log LogRef, after Cursor, limit int, query string) ([]LogLine, error)

	// Extent says how much is kept of a log: the bytes of all its lines' texts,
	// and the last line's cursor.
	Extent(ctx context.Context, log LogRef) (bytes int64, last Cursor, err error)

	// Delete removes logs from every reader's sight, at once and for good: a line
	// that comes late does not bring one back. Their bytes are freed by the next
	// Expire at the latest.
	Delete(ctx context.Context, logs ...LogRef) error

	// Expire frees the logs of deployments that were created before a day, and
	// what is deleted. The day is the one that a time is in, in UTC; none expires
	// before the zero time. One control plane at a time calls it.
	Expire(ctx context.Context, before time.Time) error

	// Ping fails where the store does not answer.
	Ping(ctx context.Context) error

	Close() error
}

// LogRef names the log of a deployment.
type LogRef struct {
	Deployment string
	Created    time.Time // when the deployment was; it never changes
}

// Day is the one on which the deployment was created, in UTC.
func (r LogRef) Day() time.Time { return logDay(r.Created) }

func logDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// LogBatch is lines of one log.
type LogBatch struct {
	LogRef
	Lines []LogLine
}

// Log names the deployment's log.
func (d *Deployment) Log() LogRef { return LogRef{d.ID, d.CreatedAt} }

// Log names the log that an attempt writes.
func (a Attempt) Log() LogRef { return LogRef{a.Deployment, a.Created} }

// deleteLog deletes the log of a deployment that was just removed. Nobody waits
// long for a log store that is away: the log is deleted again when the
// deployment's row is.
func (s *Service) deleteLog(ctx context.Context, log LogRef) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.logs.Delete(ctx, log); err != nil {
		s.log.Warn("the log of a removed deployment can't be deleted now; it is tried again in a day", "deployment", log.Deployment, "error", err)
	}
}

// unreadableLog logs why a log can't be read, and tells a person so.
func (s *Service) unreadableLog(id string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	s.log.Error("a log can't be read", "deployment", id, "error", err)
	return Errorf(CodeUnavailable, "The log store does not answer, so the log can't be read now. It is not lost: try again in a moment. The log of the control plane says more.")
}

// logExpiresAt is when a log has outlived its retention; nil: never.
func (s *Service) logExpiresAt(log LogRef) *time.Time {
	if s.config.LogRetention < 0 {
		return nil
	}
	at := log.Day().Add(24*time.Hour + s.config.LogRetention)
	return &at
}
