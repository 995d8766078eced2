package controlplane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/dnslookup"
)

// Service is the control plane: every rule about projects and deployments is
// one of its methods. They may be called by many goroutines at once. The
// errors that are meant for a person are of type [Error].
type Service struct {
	config Config
	store  Store
	logs   LogStore
	stream Stream
	bucket blob.Store
	runner Runner
	log    *slog.Logger
	holder string // names this control plane in leases and claims

	metrics   *metrics
	passwords *passwordHasher
	manifests *manifestCache
	uploads   *uploadSessions
	changes   *changeHub
	lines     *lineHub
	meters    *logMeters
	builders  *builderSet
	leases    *leases
	dns       *dnslookup.Resolver
	checking  chan struct{} // holds one element for each look at a domain
	decoding  chan struct{} // holds one element for each manifest that is taken in

	wakeDispatcher chan struct{}
	wakePublisher  chan struct{}
	wakeSweeper    chan struct{}
	wakeGarbage    chan struct{}
	wakeWatcher    chan struct{}

	leaving  context.Context // ended when Drain begins: no build starts any more
	leave    context.CancelFunc
	stopped  chan struct{} // closed when Stop begins
	mu       sync.Mutex    // guards stopping, and running against being waited for
	stopping bool
	running  sync.WaitGroup
	dispatch sync.RWMutex       // held for reading while a builder is started; guards drained
	drained  bool               // no builder at all is started any more
	cancel   context.CancelFunc // ends the work in the background
	sleep    sleepWatch         // of the watcher
	seen     buildSights        // of the watcher

	unrenewed atomic.Bool // claims could not be renewed when it was last tried

	backing  sync.Mutex // held while a backup is made for somebody
	adopting sync.Mutex // guards adopted, and is held while the bucket is adopted
	adopted  bool

	unknownAt time.Time // of the sweeper: when it last looked for unknown projects
}

// New makes a service. Start begins its work in the background; without it,
// nothing is built and nothing published.
func New(config Config, store Store, logs LogStore, stream Stream, bucket blob.Store, runner Runner, log *slog.Logger) *Service {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	s := &Service{
		config: config.withDefaults(),
		store:  store,
		logs:   logs,
		stream: stream,
		bucket: bucket,
		runner: runner,
		log:    log,
		holder: hex.EncodeToString(id[:]),

		passwords: newPasswordHasher(),
		manifests: newManifestCache(manifestCacheBytes),
		uploads:   newUploadSessions(),
		changes:   newChangeHub(),
		lines:     newLineHub(),
		meters:    newLogMeters(),
		builders:  newBuilderSet(),
		leases:    newLeases(),
		checking:  make(chan struct{}, checksAtOnce),
		decoding:  make(chan struct{}, 4),

		wakeDispatcher: make(chan struct{}, 1),
		wakePublisher:  make(chan struct{}, 1),
		wakeSweeper:    make(chan struct{}, 1),
		wakeGarbage:    make(chan struct{}, 1),
		wakeWatcher:    make(chan struct{}, 1),
		stopped:        make(chan struct{}),
	}
	s.leaving, s.leave = context.WithCancel(context.Background())
	s.metrics = newMetrics(s)
	s.dns = dnslookup.New(s.config.DNSResolver, s.metrics.observeLookup)
	return s
}

// now is the time to keep: in UTC, to the microsecond, as the database has it.
func (s *Service) now() time.Time { return s.config.Now().UTC().Truncate(time.Microsecond) }

// clock is the time to measure by: on real clocks it goes on evenly, whatever
// the time of day is set to.
func (s *Service) clock() time.Time { return s.config.Now() }

// wake rings a bell that somebody may be waiting for; it never blocks.
func wake(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
