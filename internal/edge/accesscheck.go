package edge

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/crypto/argon2"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	checksAtOnce = 2               // each takes the memory that its hash names
	checksQueued = 64              // at work or waiting; there are no more
	checkWait    = 5 * time.Second // for a check's turn to come

	maxPasswordBytes = 512 // 128 characters of 4 bytes
)

var errChecksBusy = errors.New("too many passwords are being checked")

// passwordChecks compares passwords with argon2id hashes, few at once: anybody
// can ask for it.
type passwordChecks struct {
	queue, slots chan struct{}
	derive       func(password, salt []byte, time, memoryKiB uint32, threads uint8, keySize uint32) []byte
}

func newPasswordChecks() *passwordChecks {
	return &passwordChecks{queue: make(chan struct{}, checksQueued), slots: make(chan struct{}, checksAtOnce), derive: argon2.IDKey}
}

// check reports whether a password is that of a hash. The error says that its
// turn did not come.
func (c *passwordChecks) check(ctx context.Context, hash site.PasswordHash, password string) (bool, error) {
	if len(password) > maxPasswordBytes {
		return false, nil
	}
	select {
	case c.queue <- struct{}{}:
		defer func() { <-c.queue }()
	default:
		return false, errChecksBusy
	}
	ctx, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return false, errChecksBusy
	}
	key := c.derive([]byte(password), hash.Salt, hash.Time, hash.MemoryKiB, hash.Threads, site.PasswordKeySize)
	return subtle.ConstantTimeCompare(key, hash.Key) == 1, nil
}

const (
	triesAllowed = 5 // in triesWindow, by one client
	triesWindow  = time.Minute
	// triesClients bounds the memory: about 3 MiB. Who was quiet for longest is
	// forgotten first.
	triesClients = 10_000
)

// tryLimit counts how often clients try passwords.
type tryLimit struct {
	mu      sync.Mutex
	clients *simplelru.LRU[netip.Prefix, *tries]
}

// tries are the times of a client's last tries, as a ring.
type tries struct {
	at   [triesAllowed]time.Time
	next int // the oldest
}

func newTryLimit() *tryLimit {
	clients, _ := simplelru.NewLRU[netip.Prefix, *tries](triesClients, nil) // fails for a size below 1 only
	return &tryLimit{clients: clients}
}

// take counts a try, or returns how long the client has to wait for the next.
func (l *tryLimit) take(client netip.Prefix, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.clients.Get(client)
	if !ok {
		t = &tries{}
		l.clients.Add(client, t)
	}
	// A clock that was set back locks nobody out.
	if ago := now.Sub(t.at[t.next]); ago >= 0 && ago < triesWindow {
		return triesWindow - ago
	}
	t.at[t.next] = now
	t.next = (t.next + 1) % triesAllowed
	return 0
}
