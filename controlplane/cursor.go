package controlplane

import (
	"fmt"
	"strconv"
	"strings"
)

// Cursor is a place in a deployment's log: behind the line with that number of
// that attempt. The zero cursor is the beginning.
type Cursor struct {
	Attempt int
	Seq     int64
}

// ParseCursor reads "<attempt>-<seq>"; "" is the beginning.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	attempt, seq, found := strings.Cut(s, "-")
	a, errA := strconv.ParseUint(attempt, 10, 16)
	n, errN := strconv.ParseUint(seq, 10, 62)
	if !found || errA != nil || errN != nil {
		return Cursor{}, Invalid("after", "%q is not a place in a log: use <attempt>-<seq>, such as 1-42", s)
	}
	return Cursor{Attempt: int(a), Seq: int64(n)}, nil
}

// String returns what [ParseCursor] reads.
func (c Cursor) String() string { return fmt.Sprintf("%d-%d", c.Attempt, c.Seq) }

// Before reports whether c stands before the line at that place.
func (c Cursor) Before(attempt int, seq int64) bool {
	return c.Attempt < attempt || c.Attempt == attempt && c.Seq < seq
}
