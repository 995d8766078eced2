package certstore

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// certificates knows when the certificates end that this edge has read or
// written, for the metrics.
type certificates struct {
	mu    sync.Mutex
	until map[string]time.Time // by key
}

func (c *certificates) note(key string, value []byte) {
	if _, ok := site(key); !ok || !strings.HasSuffix(key, ".crt") {
		return
	}
	block, _ := pem.Decode(value)
	if block == nil {
		return
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil {
		c.until = map[string]time.Time{}
	}
	c.until[key] = leaf.NotAfter
}

func (c *certificates) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.until, key)
}

// daysLeft are the classes by which certificates are counted: the whole days,
// at most, that they still have.
var daysLeft = []struct {
	label string
	most  time.Duration
}{
	{"expired", 0},
	{"1", 24 * time.Hour},
	{"7", 7 * 24 * time.Hour},
	{"14", 14 * 24 * time.Hour},
	{"30", 30 * 24 * time.Hour},
	{"more", 1<<63 - 1},
}

// countDaysLeft returns how many there are of each class.
func countDaysLeft(ends iter.Seq[time.Time], now time.Time) []int {
	counts := make([]int, len(daysLeft))
	for until := range ends {
		for i, class := range daysLeft {
			if until.Sub(now) <= class.most {
				counts[i]++
				break
			}
		}
	}
	return counts
}

// ends returns when the certificates end.
func (c *certificates) ends(time.Time) iter.Seq[time.Time] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Values(slices.Collect(maps.Values(c.until)))
}

// readCertificates notes what the copies say, after a start.
func (s *Storage) readCertificates() {
	if s.local == nil {
		return
	}
	for info, err := range s.local.dir.List(s.ctx, copiesPrefix, blob.ListOptions{}) {
		if err != nil {
			return // a metric is not worth a word
		}
		key, ok := certmagicKey(strings.TrimPrefix(info.Key, copiesPrefix))
		if !ok || !strings.HasSuffix(key, ".crt") {
			continue
		}
		if sealed, err := s.local.get(context.Background(), info.Key); err == nil {
			if value, _, err := s.secrets.open(key, sealed); err == nil {
				s.certificates.note(key, value)
			}
		}
	}
}
