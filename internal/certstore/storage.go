package certstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// Config says what a [Storage] works on.
type Config struct {
	// Open opens the bucket, at the first use. The bucket must not repeat calls
	// of its own accord: a delete that is repeated may hit another edge's lock.
	// The storage closes it. Required
	Open func(context.Context) (Bucket, error)
	// Identity is the bucket's. Required
	Identity string
	Secrets  *Secrets // required

	// LocalDir is where copies stand. Without one nothing can be read while the
	// bucket is away.
	LocalDir string
	// LocalBytes is how many bytes the copies may have together. Default: 512 MiB.
	LocalBytes int64

	// ReadTimeout and WriteTimeout bound one call to the bucket. A handshake may
	// wait for a read. Defaults: 3 s and 10 s.
	ReadTimeout, WriteTimeout time.Duration

	Log *slog.Logger // required
}

// Bucket is an open bucket.
type Bucket interface {
	blob.Store
	io.Closer
}

// Storage is a [certmagic.Storage] in a bucket. An error that is not
// fs.ErrNotExist never stands for an absence: certmagic would order anew what
// only could not be read.
type Storage struct {
	config  Config
	secrets *Secrets
	log     *slog.Logger
	metrics *Metrics
	reads   outage
	writes  outage // of its own: a key that may only read does not stop reads

	opening sync.Mutex
	opened  atomic.Bool // after it, these do not change
	bucket  Bucket
	local   *local // nil: no copies

	tasks chan task

	mu        sync.Mutex
	leases    map[string]*lease   // by lock name: those that this process holds or is trying to get
	sightings map[string]sighting // by lock name: what others hold
	kept      map[string]bool     // by key: values that wait for the bucket

	certificates certificates

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	gate    sync.RWMutex // guards closed
	closed  bool
	calls   sync.WaitGroup
	working sync.WaitGroup
}

var (
	_ certmagic.Storage          = (*Storage)(nil)
	_ certmagic.TryLocker        = (*Storage)(nil)
	_ certmagic.LockLeaseRenewer = (*Storage)(nil)
)

// ErrClosed: the storage was closed.
var ErrClosed = errors.New("certificate storage is closed")

const (
	defaultLocalBytes   = 512 << 20
	defaultReadTimeout  = 3 * time.Second
	defaultWriteTimeout = 10 * time.Second
	listTimeout         = time.Minute
	probeEvery          = 5 * time.Second
	attempts            = 3 // of a call that may be made again
	retryPause          = 50 * time.Millisecond
	// maxValue is the longest value in bytes: many times a certificate's chain.
	maxValue = 16 << 20
)

// New makes a storage. It opens nothing: that is for its first use.
func New(c Config) *Storage {
	if c.LocalBytes <= 0 {
		c.LocalBytes = defaultLocalBytes
	}
	if c.ReadTimeout <= 0 {
		c.ReadTimeout = defaultReadTimeout
	}
	if c.WriteTimeout <= 0 {
		c.WriteTimeout = defaultWriteTimeout
	}
	s := &Storage{
		config: c, secrets: c.Secrets, log: c.Log,
		reads: outage{probeEvery: probeEvery}, writes: outage{probeEvery: probeEvery},
		tasks:  make(chan task, 1024),
		leases: map[string]*lease{}, sightings: map[string]sighting{}, kept: map[string]bool{},
	}
	s.metrics = newMetrics(s)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// open opens the bucket and the local copies, unless they are open. What is not
// there yet may be later: a failure is tried again by the next call.
func (s *Storage) open() error {
	if s.opened.Load() {
		return nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.opened.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.config.WriteTimeout)
	defer cancel()
	bucket, err := s.config.Open(ctx)
	if err != nil {
		return fmt.Errorf("certificate storage: %w", err)
	}
	if s.config.LocalDir != "" {
		if err := s.openLocal(); err != nil {
			return errors.Join(fmt.Errorf("certificate storage: local copies: %w", err), bucket.Close())
		}
	}
	s.bucket = bucket
	s.opened.Store(true)
	s.working.Go(s.work)
	return nil
}

// Close gives up the locks that this process holds, writes down what is on its
// way to the local copies, and ends.
func (s *Storage) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		return nil
	}
	s.closed = true
	s.gate.Unlock()
	s.cancel() // who waits for a lock waits no more
	s.calls.Wait()
	if !s.opened.Load() {
		return nil
	}
	s.working.Wait()
	err := errors.Join(s.unlockAll(), s.bucket.Close())
	if s.local != nil {
		err = errors.Join(err, s.local.dir.Close())
	}
	return err
}

// begin counts a call in; every begin that succeeds is followed by an end.
func (s *Storage) begin() error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.open(); err != nil {
		return err
	}
	s.calls.Add(1)
	return nil
}

func (s *Storage) end() { s.calls.Done() }

// Metrics returns the storage's metrics.
func (s *Storage) Metrics() *Metrics { return s.metrics }

// String names the storage in certmagic's logs.
func (s *Storage) String() string { return "bucket " + s.config.Identity }

// Check finds out whether this edge has the secret that the bucket's values are
// encrypted with; the first edge of all leaves word of it there. The error is
// [ErrSecret] where the secret is wrong; others say that the bucket is away.
func (s *Storage) Check(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	if err := s.check(ctx); err != nil {
		return fmt.Errorf("certificates in %s: %s: %w", s.config.Identity, checkKey, err)
	}
	return nil
}

func (s *Storage) check(ctx context.Context) error {
	sealed, etag, err := s.get(ctx, checkKey)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err = s.put(ctx, checkKey, s.secrets.seal(checkKey, nil), blob.PutOptions{IfNoneMatch: true}); !errors.Is(err, blob.ErrPrecondition) {
			return err
		}
		sealed, etag, err = s.get(ctx, checkKey) // another edge was first
	}
	if err != nil {
		return err
	}
	_, outdated, err := s.secrets.open(checkKey, sealed)
	if err == nil && outdated {
		// Another edge may do the same at the same time; either will do.
		if _, err = s.put(ctx, checkKey, s.secrets.seal(checkKey, nil), blob.PutOptions{IfMatch: etag}); errors.Is(err, blob.ErrPrecondition) {
			err = nil
		}
	}
	return err
}

// call makes one call to the bucket, a few times if need be: with a deadline
// for all of them, and not while the bucket is away.
func (s *Storage) call(caller context.Context, outage *outage, timeout time.Duration, attempts int, f func(context.Context) error) error {
	if err := outage.ask(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(caller, timeout)
	defer cancel()
	for n := 1; ; n++ {
		err := f(ctx)
		if answered(err) || n == attempts || !pause(ctx, retryPause<<n) {
			outage.tell(caller, err)
			return err
		}
	}
}

// pause waits for about that long; false where the context ends before.
func pause(ctx context.Context, d time.Duration) bool {
	wait := time.NewTimer(jitter(d))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// get reads an object of the bucket.
func (s *Storage) get(ctx context.Context, key string) (body []byte, etag string, err error) {
	err = s.call(ctx, &s.reads, s.config.ReadTimeout, attempts, func(ctx context.Context) (err error) {
		body, etag, err = read(ctx, s.bucket, key, "")
		return err
	})
	return body, etag, err
}

// put writes an object of the bucket. A write under a condition is tried once:
// the second try would find the first.
func (s *Storage) put(ctx context.Context, key string, body []byte, o blob.PutOptions) (etag string, err error) {
	tries := attempts
	if o != (blob.PutOptions{}) {
		tries = 1
	}
	err = s.call(ctx, &s.writes, s.config.WriteTimeout, tries, func(ctx context.Context) error {
		info, err := s.bucket.Put(ctx, key, newReader(body), int64(len(body)), o)
		etag = info.ETag
		return err
	})
	return etag, err
}

// read reads a whole object, unless its ETag is that one.
func read(ctx context.Context, store blob.Store, key, unlessETag string) (body []byte, etag string, err error) {
	o, err := store.Get(ctx, key, blob.GetOptions{IfNoneMatch: unlessETag})
	if err != nil {
		return nil, "", err
	}
	body, err = io.ReadAll(io.LimitReader(o.Body, maxValue+overhead+1))
	if err = errors.Join(err, o.Body.Close()); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", key, err)
	}
	if int64(len(body)) > maxValue+overhead {
		return nil, "", fmt.Errorf("read %s: it is longer than any value", key)
	}
	return body, o.ETag, nil
}
