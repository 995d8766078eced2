package stream

import (
	"sync"
	"time"
)

// complaintTime is how often the log repeats what goes wrong again and again.
const complaintTime = 10 * time.Second

// complaints remember what the log has said.
type complaints struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// complain warns in the log, unless the same message was there just now.
func (k *Kafka) complain(message string, args ...any) {
	k.complaints.mu.Lock()
	defer k.complaints.mu.Unlock()
	if time.Since(k.complaints.last[message]) < complaintTime {
		return
	}
	if k.complaints.last == nil {
		k.complaints.last = map[string]time.Time{}
	}
	k.complaints.last[message] = time.Now()
	k.log.Warn(message, args...)
}
