package logs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// ClickHouseOptions say where ClickHouse is. Zero values stand for the defaults
// that are named here.
type ClickHouseOptions struct {
	Host     string
	Port     int    // of the native protocol. Default: 9000, with TLS 9440
	Username string // Default: "default"
	Password string
	Database string      // Default: "mini_vercel"; it is made where it is missing
	TLS      *tls.Config // nil: none

	// Interval is the least time between two small inserts: each makes a part,
	// which the server has to merge with others. Default: 100 ms.
	Interval time.Duration
	// EraseInterval is the least time between two mutations that erase deleted
	// logs: each writes the parts anew that it finds some in. Default: an hour.
	EraseInterval time.Duration

	driverLog *slog.Logger // gets all that the driver does; nil: nobody does
}

const (
	dialTime = 5 * time.Second
	// tries is how often a call is tried that fails.
	tries = 3
)

// ClickHouse is a log store in two tables of a ClickHouse database, over the
// native protocol. One that is away is found again by the next call.
type ClickHouse struct {
	options     ClickHouseOptions
	address     string
	tables      tables
	read, write driver.Conn
	metrics     *clickHouseMetrics

	prepared  atomic.Bool
	preparing chan struct{} // holds an element while the tables are made

	queue   chan *appending
	working context.Context // of the inserts; ended by Close
	stop    context.CancelFunc
	stopped chan struct{} // closed when no insert goes on
	close   sync.Once
}

var _ controlplane.LogStore = (*ClickHouse)(nil)

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// OpenClickHouse makes a log store in ClickHouse. It connects when it is first
// used, and makes what is missing then; [ClickHouse.Check] does so at once.
func OpenClickHouse(o ClickHouseOptions) (*ClickHouse, error) {
	o = o.withDefaults()
	if err := o.Check(); err != nil {
		return nil, err
	}
	config := o.TLS
	if config != nil {
		config = config.Clone()
		config.ServerName = o.Host // the dialer is ours, so is this
	}
	var err error
	c := &ClickHouse{
		options: o, address: net.JoinHostPort(o.Host, strconv.Itoa(o.Port)), tables: tablesIn(o.Database), metrics: newClickHouseMetrics(),
		preparing: make(chan struct{}, 1), queue: make(chan *appending), stopped: make(chan struct{}),
	}
	// Readers never keep the inserts from a connection.
	if c.read, err = c.connect(config, 8); err != nil {
		return nil, err
	}
	if c.write, err = c.connect(config, 2); err != nil {
		return nil, errors.Join(err, c.read.Close())
	}
	c.working, c.stop = context.WithCancel(context.Background())
	go c.insertInBatches()
	return c, nil
}

func (o ClickHouseOptions) withDefaults() ClickHouseOptions {
	if o.Port == 0 {
		o.Port = 9000
		if o.TLS != nil {
			o.Port = 9440
		}
	}
	if o.Username == "" {
		o.Username = "default"
	}
	if o.Database == "" {
		o.Database = "mini_vercel"
	}
	if o.Interval == 0 {
		o.Interval = 100 * time.Millisecond
	}
	if o.EraseInterval == 0 {
		o.EraseInterval = time.Hour
	}
	return o
}

// Check says which setting is wrong, by its variable, without a look at the
// server.
func (o ClickHouseOptions) Check() error {
	o = o.withDefaults()
	if strings.Contains(o.Host, "/") || strings.Contains(o.Host, ":") && net.ParseIP(o.Host) == nil {
		return fmt.Errorf("CLICKHOUSE_HOST=%s: use a host's name or address alone, without scheme and port", o.Host)
	}
	if !databaseName.MatchString(o.Database) {
		return fmt.Errorf("CLICKHOUSE_DATABASE=%s: use letters, digits and underscores", o.Database)
	}
	return nil
}

// connect makes a pool of connections. They name no database: that one may be
// missing, and every statement names its own.
func (c *ClickHouse) connect(config *tls.Config, connections int) (driver.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTime}
	return clickhouse.Open(&clickhouse.Options{
		Addr: []string{c.address},
		Auth: clickhouse.Auth{Username: c.options.Username, Password: c.options.Password},
		// The driver's own dialing does not end with its context.
		DialContext: func(ctx context.Context, address string) (net.Conn, error) {
			if config == nil {
				return dialer.DialContext(ctx, "tcp", address)
			}
			return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", address)
		},
		Logger:          c.options.driverLog,
		DialTimeout:     dialTime, // for a free connection, for a new one, and for its first words
		MaxOpenConns:    connections,
		MaxIdleConns:    connections,
		ConnMaxLifetime: 10 * time.Minute,
		Compression:     &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
	})
}

// Check connects, and makes the database and the tables where they are missing.
// The error is one line that says what to do; where it is [ErrAway], waiting may
// do.
func (c *ClickHouse) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTime)
	defer cancel()
	err := c.prepare(ctx)
	if err == nil {
		err = c.tryInsert(ctx)
	}
	return c.explain(err)
}

// Version is the server's, of the form 26.3.1.
func (c *ClickHouse) Version() (string, error) {
	server, err := c.read.ServerVersion()
	if err != nil {
		return "", c.explain(err)
	}
	return fmt.Sprintf("%d.%d.%d", server.Version.Major, server.Version.Minor, server.Version.Patch), nil
}

// Ping implements [controlplane.LogStore].
func (c *ClickHouse) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if err := c.prepare(ctx); err != nil {
		return c.explain(err)
	}
	return c.explain(c.read.Ping(ctx))
}

// Close ends what goes on; appends that wait fail.
func (c *ClickHouse) Close() error {
	c.stop()
	<-c.stopped
	var err error
	c.close.Do(func() { err = errors.Join(c.read.Close(), c.write.Close()) })
	return err
}

// Collectors returns what to register with a Prometheus registry.
func (c *ClickHouse) Collectors() []prometheus.Collector { return c.metrics.all() }

// try makes a call, and again after a moment where it failed. Every statement
// may be run twice. The tables are there when it is made.
func (c *ClickHouse) try(ctx context.Context, longest time.Duration, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for n := 1; ; n++ {
		err := c.prepare(ctx)
		if err == nil {
			err = call(ctx)
		}
		if err == nil {
			return nil
		}
		if isMissing(err) {
			c.prepared.Store(false) // somebody has dropped the tables
		}
		if n == tries || ctx.Err() != nil || isHopeless(err) {
			return c.explain(err)
		}
		select {
		case <-time.After(time.Duration(n) * (50*time.Millisecond + rand.N(100*time.Millisecond))):
		case <-ctx.Done():
			return c.explain(err)
		}
	}
}
