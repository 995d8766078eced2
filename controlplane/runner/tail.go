package runner

import (
	"bytes"
	"strings"
	"sync"
)

// tailSize is how much of the end of a builder's output is kept.
const tailSize = 2 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	end []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(p) >= tailSize {
		t.end, t.cut = append(t.end[:0], p[len(p)-tailSize:]...), t.cut || len(t.end)+len(p) > tailSize
		return len(p), nil
	}
	t.end = append(t.end, p...)
	if over := len(t.end) - tailSize; over > 0 {
		t.end, t.cut = append(t.end[:0], t.end[over:]...), true
	}
	return len(p), nil
}

// String returns the end, from the beginning of a line where there is one.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := t.end
	if i := bytes.IndexByte(end, '\n'); t.cut && i >= 0 && i < len(end)-1 {
		end = end[i+1:]
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(end), "\uFFFD"))
}
