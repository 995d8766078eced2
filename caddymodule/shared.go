package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/edge"
)

// shared is the edge of one bucket, for all configurations that use it. It is
// made by the first of them and ends with the last one, when the requests that
// it is answering are answered.
type shared struct {
	key    poolKey
	bucket Bucket
	config edge.Config
	log    *slog.Logger

	opening sync.Mutex
	edge    atomic.Pointer[edge.Edge]
	store   BucketStore

	requests sync.RWMutex // read by every request, locked by the end
	ended    bool         // guarded by requests
	ending   atomic.Bool  // what is in flight is the last
}

// poolKey is what makes two configurations share an edge: never a size, which
// changes in place.
type poolKey struct{ bucket, baseDomain, stateDir string }

var (
	pool = caddy.NewUsagePool()
	// closing are the edges that wait for their last requests.
	closing sync.WaitGroup
)

func init() {
	// Where Caddy itself ends the process, what is known is still written down.
	caddy.OnExit(func(context.Context) {
		ctx, cancel := context.WithTimeout(context.Background(), exitTime)
		defer cancel()
		_ = closed(ctx)
	})
}

// openTime bounds the look for credentials; opening makes no other request.
const openTime = 10 * time.Second

// exitTime is how long the end of the process waits for edges to close.
const exitTime = 5 * time.Second

// closed waits until every edge that is ending has ended, or the context has.
func closed(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		closing.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errEnded = errors.New("the edge has ended")

// acquire returns the shared state for an app's bucket. It opens nothing.
func acquire(a *App, log *slog.Logger) (*shared, error) {
	bucket, err := a.Bucket.Identity()
	if err != nil {
		return nil, err
	}
	key := poolKey{bucket, a.BaseDomain, a.StateDir}
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &shared{key: key, bucket: a.Bucket, log: log, config: edge.Config{
			BaseDomain: a.BaseDomain, StateDir: a.StateDir, Sizes: a.sizes(), Pace: a.pace(), Log: log,
		}}, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(*shared), nil
}

func (s *shared) release() error {
	_, err := pool.Delete(s.key)
	return err
}

// open starts the edge unless it runs. A request may come before the app was
// started: Caddy starts apps in no order.
func (s *shared) open() (*edge.Edge, error) {
	if e := s.edge.Load(); e != nil {
		return e, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if e := s.edge.Load(); e != nil {
		return e, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	store, err := s.bucket.Open(ctx, 1) // the edge itself tries again
	if err != nil {
		return nil, err
	}
	config := s.config
	config.Store = store
	e, err := edge.New(config)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.store = store
	s.edge.Store(e)
	return e, nil
}

// useKey gives the bucket the access key of the newest configuration: a key that
// is replaced costs nothing that is kept.
func (s *shared) useKey(b Bucket) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if store, ok := s.store.(*blob.S3); ok {
		b = b.replaced()
		store.SetKey(b.AccessKeyID, b.SecretAccessKey)
	}
}

// begin counts a request, or a question of another kind, in. Every begin that
// succeeds is followed by an end or a done.
func (s *shared) begin() (*edge.Edge, error) {
	s.requests.RLock()
	if s.ended {
		s.requests.RUnlock()
		return nil, errEnded
	}
	e, err := s.open()
	if err != nil {
		s.requests.RUnlock()
	}
	return e, err
}

// end counts a request out. What net/http still holds of the last answers is
// sent before, because the process may end after.
func (s *shared) end(w http.ResponseWriter) {
	if s.ending.Load() {
		_ = http.NewResponseController(w).Flush() // the client may be gone
	}
	s.done()
}

// done counts a question out.
func (s *shared) done() { s.requests.RUnlock() }

// Destruct ends the edge once its last request is answered. Caddy calls it when
// no configuration uses the bucket any more, while requests may still be in
// flight: it does not wait for them.
func (s *shared) Destruct() error {
	s.ending.Store(true)
	closing.Go(func() {
		s.requests.Lock()
		defer s.requests.Unlock()
		s.ended = true
		e := s.edge.Load()
		if e == nil {
			return
		}
		e.Close()
		if err := s.store.Close(); err != nil {
			s.log.Warn("the bucket could not be closed", slog.Any("error", err))
		}
	})
	return nil
}
