package certstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// lease is a lock that this process has or tries to get.
type lease struct {
	name, key string
	owner     string        // tells this lease from all others
	held      bool          // guarded by Storage.mu: the bucket has given it once
	free      chan struct{} // closed when it is given back

	mu      sync.Mutex // from here on
	etag    string     // of the last write that is known to have been done
	serial  int
	renewed time.Time // when that write was begun, at the earliest
	unsure  time.Time // when the first write was begun after it, of which nobody knows whether it was done
	lost    bool
	freed   bool

	stop context.CancelFunc
	done sync.WaitGroup // the goroutine that refreshes it
}

// lockBody is what stands in a lock, for people to read. It differs in each
// write, because the ETag of some buckets is a hash of the body.
type lockBody struct {
	Owner  string `json:"owner"`
	Serial int    `json:"serial"`
}

func newLease(name string) *lease {
	host, _ := os.Hostname() // only people read it
	return &lease{name: name, key: lockKey(name), owner: host + " " + rand.Text(), free: make(chan struct{})}
}

// wrote says whether a lock's body is of this lease.
func (l *lease) wrote(body []byte) bool {
	var b lockBody
	return json.Unmarshal(body, &b) == nil && b.Owner == l.owner
}

// adopt takes the ETag of a write that was done though it seemed to fail. Which
// of them it was is not known: others may have watched it since the first.
func (l *lease) adopt(etag string) {
	l.etag, l.renewed, l.unsure = etag, l.unsure, time.Time{}
}

// write writes the lock under a condition. Where it fails, nobody knows whether
// it was done; look finds out.
func (s *Storage) write(ctx context.Context, l *lease, condition blob.PutOptions) error {
	l.serial++
	body, err := json.Marshal(lockBody{l.owner, l.serial})
	if err != nil {
		return err
	}
	begun := time.Now()
	if l.unsure.IsZero() {
		l.unsure = begun
	}
	etag, err := s.put(ctx, l.key, body, condition)
	if err != nil {
		return err
	}
	l.etag, l.renewed, l.unsure = etag, begun, time.Time{}
	return nil
}

// hold refreshes a lock until it is given back.
func (s *Storage) hold(l *lease) {
	s.mu.Lock()
	l.held = true
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.done.Go(func() {
		for {
			wait := time.NewTimer(jitter(refreshEvery))
			select {
			case <-wait.C:
				l.mu.Lock()
				s.refresh(l)
				l.mu.Unlock()
			case <-ctx.Done():
				wait.Stop()
				return
			}
		}
	})
}

// refresh writes a lock anew. A lock is lost when another has it, or when it
// could not be refreshed for so long that another may have it.
func (s *Storage) refresh(l *lease) {
	if l.lost {
		return
	}
	err := s.confirm(l)
	switch {
	case errors.Is(err, errTaken):
		l.lost = true
	case err != nil && time.Since(l.renewed) >= staleAfter:
		l.lost = true
	}
	if l.lost {
		s.metrics.lost.Inc()
		s.log.Error("a lock was lost: another edge may do the same work now", slog.String("lock", l.name), slog.Any("error", err))
	}
}

var errTaken = errors.New("another edge took the lock over")

// confirm writes a lock over its last own state, and so makes sure that nobody
// takes it over for another while.
func (s *Storage) confirm(l *lease) error {
	ctx := context.Background()
	err := s.write(ctx, l, blob.PutOptions{IfMatch: l.etag})
	if !errors.Is(err, blob.ErrPrecondition) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A write that seemed to fail may have been done.
	body, etag, err := s.get(ctx, l.key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errTaken
	case err != nil:
		return err
	case !l.wrote(body):
		return errTaken
	}
	l.adopt(etag)
	return s.write(ctx, l, blob.PutOptions{IfMatch: l.etag})
}

// unlock gives a lock back.
func (s *Storage) unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	l := s.leases[name]
	if l == nil || !l.held {
		s.mu.Unlock()
		return fmt.Errorf("unlock %s: this process does not have it", name)
	}
	s.mu.Unlock()
	l.stop()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.freed {
		return nil // by another call at the same time
	}
	l.freed = true
	defer s.release(l)
	if l.lost {
		return nil
	}
	if err := s.remove(context.WithoutCancel(ctx), l); err != nil {
		return fmt.Errorf("unlock %s: others get it in %v: %w", name, staleAfter, err)
	}
	return nil
}

// remove deletes a lock while nobody can have taken it over.
func (s *Storage) remove(ctx context.Context, l *lease) error {
	var failed error
	for range lockFailures {
		if failed != nil || time.Since(l.renewed) > deleteWithin {
			err := s.confirm(l)
			if errors.Is(err, errTaken) {
				return nil // another's, or deleted after all
			}
			if err != nil {
				return err
			}
		}
		failed = s.call(ctx, &s.writes, min(s.config.WriteTimeout, deleteWithin), 1, func(ctx context.Context) error {
			return s.bucket.Delete(ctx, l.key)
		})
		if failed == nil {
			return nil
		}
	}
	return failed
}
