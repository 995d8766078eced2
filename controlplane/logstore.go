package controlplane

import "context"

// LogStore keeps the lines of builds' logs.
type LogStore interface {
	// Append keeps lines of one deployment. Lines that are there already, by
	// attempt and seq, are left as they are.
	Append(ctx context.Context, deployment string, lines []LogLine) error

	// Lines returns up to limit lines after a cursor, in the order of attempt
	// and seq; those that contain query, in any case, where there is one.
	Lines(ctx context.Context, deployment string, after Cursor, limit int, query string) ([]LogLine, error)

	// Extent says how much is kept of a deployment: the bytes of all its lines'
	// texts, and the last line's cursor.
	Extent(ctx context.Context, deployment string) (bytes int64, last Cursor, err error)

	// Delete removes all lines of deployments.
	Delete(ctx context.Context, deployments ...string) error

	// Ping fails where the store does not answer.
	Ping(ctx context.Context) error
}
