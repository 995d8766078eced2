package store

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"golang.org/x/sync/semaphore"
)

// PostgresOptions say how to use a PostgreSQL database.
type PostgresOptions struct {
	// URL is the address as libpq has it: postgres://user:password@host/database
	// or key=value pairs, with sslmode and the other parameters of libpq.
	URL string
	// Connections is the most that this process opens. Default and least: 16, 6.
	Connections int
	// StatementTime is the longest time of one statement. Default: 30 s.
	StatementTime time.Duration
	// Migrate brings the tables up to date; without it, a database that is not
	// is refused.
	Migrate bool
}

// The fewest and the usual connections of one control plane.
const (
	MinConnections     = 6
	DefaultConnections = 16
)

const (
	counterConnections = 2                // draw numbers, each a moment
	listenConnections  = 1                // kept free for what is told between control planes
	beginTime          = 10 * time.Second // to get a connection and begin
	replyTime          = 5 * time.Second  // on top of a statement's time, for the way
	connectTime        = 5 * time.Second
	idleTime           = 10 * time.Second // a transaction whose control plane hangs is ended
	minServer          = 13
)

// postgres is a PostgreSQL database with its pools: one for transactions, one
// for counters, so that transactions that have all connections can still draw,
// and one for locks, each of which has a connection for as long as it is held.
type postgres struct {
	db            *sql.DB
	counters      *sql.DB
	locks         *pgxpool.Pool
	config        *pgx.ConnConfig
	statementTime time.Duration
	metrics       *metrics
	turns         *semaphore.Weighted // of this process's updates
}

// OpenPostgres opens a PostgreSQL database. Several control planes may have it
// open. Errors name DATABASE_URL, whose password none of them shows.
func OpenPostgres(ctx context.Context, o PostgresOptions) (*Store, error) {
	p, err := newPostgres(o)
	if err != nil {
		return nil, err
	}
	if err := p.open(ctx, o.Migrate); err != nil {
		_ = p.close() // nothing was written
		return nil, err
	}
	return &Store{write: p.db, read: p.db, postgres: p}, nil
}

func newPostgres(o PostgresOptions) (*postgres, error) {
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.Connections < MinConnections {
		return nil, fmt.Errorf("%d connections are too few: use at least %d", o.Connections, MinConnections)
	}
	if o.StatementTime <= 0 {
		o.StatementTime = 30 * time.Second
	}
	config, err := parseAddress(o.URL)
	if err != nil {
		return nil, err
	}
	p := &postgres{config: config, statementTime: o.StatementTime, turns: semaphore.NewWeighted(allTurns)}
	locks := max(2, o.Connections/4)
	p.db = open(sessions(config, o.StatementTime), o.Connections-locks-counterConnections-listenConnections)
	p.counters = open(sessions(config, o.StatementTime), counterConnections)
	p.metrics = newMetrics(p.db.Stats)
	if p.locks, err = lockPool(config, locks, lockIdle); err != nil {
		return nil, p.explain(err)
	}
	return p, nil
}

// sessions is what the server is told of each connection. What the address says
// itself stays.
func sessions(config *pgx.ConnConfig, statementTime time.Duration) *pgx.ConnConfig {
	c := config.Copy()
	millis := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	for name, value := range map[string]string{
		"application_name":                    "mini-vercel",
		"statement_timeout":                   millis(statementTime),
		"idle_in_transaction_session_timeout": millis(idleTime),
		// A machine that is lost has lost its locks 11 seconds later.
		"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "3", "tcp_keepalives_count": "2",
		// A sequential scan in a serializable transaction is in conflict with every
		// write of the table: indexes are to be preferred, however small it is.
		"random_page_cost": "1.1", "enable_seqscan": "off", "jit": "off",
	} {
		if _, given := c.RuntimeParams[name]; !given {
			c.RuntimeParams[name] = value
		}
	}
	if statementTime == 0 {
		c.RuntimeParams["statement_timeout"] = "0"
	}
	return c
}

func open(config *pgx.ConnConfig, connections int) *sql.DB {
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(time.Minute)
	// After a failover, connections find their way to the new server.
	db.SetConnMaxLifetime(30 * time.Minute)
	return db
}

// parseAddress reads the address, and adds the times that it does not give.
func parseAddress(address string) (*pgx.ConnConfig, error) {
	if splitsPassword(address) {
		return nil, fmt.Errorf("DATABASE_URL can't be read: %s", howToWrite)
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, addressError(address, err)
	}
	if config.ConnectTimeout <= 0 || config.ConnectTimeout > time.Minute {
		config.ConnectTimeout = connectTime
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 3 * time.Second, Count: 2}}
	config.DialFunc = dialer.DialContext
	return config, nil
}

// open makes sure that the server and the database are fit, and migrates.
func (p *postgres) open(ctx context.Context, mayMigrate bool) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := p.checkServer(conn.PgConn()); err != nil {
		return err
	}
	return p.migrate(ctx, conn, mayMigrate)
}

// connect makes a connection outside of the pools.
func (p *postgres) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, sessions(p.config, 0))
	if err != nil {
		return nil, p.explain(err)
	}
	return conn, nil
}

// checkServer reads what the server says of itself when a connection begins.
func (p *postgres) checkServer(conn *pgconn.PgConn) error {
	version := conn.ParameterStatus("server_version")
	switch {
	case serverVersion(conn) < minServer:
		return fmt.Errorf("DATABASE_URL: PostgreSQL at %s has version %s: %d or newer is needed", p.at(), version, minServer)
	case conn.ParameterStatus("server_encoding") != "UTF8":
		return fmt.Errorf("DATABASE_URL: the database %q at %s has the encoding %s: make it with ENCODING 'UTF8' TEMPLATE template0", p.config.Database, p.at(), conn.ParameterStatus("server_encoding"))
	case conn.ParameterStatus("in_hot_standby") == "on":
		return fmt.Errorf("DATABASE_URL: PostgreSQL at %s is a standby, which is read only: name the primary, or all servers and target_session_attrs=read-write", p.at())
	}
	return nil
}

// serverVersion is the server's major version; 0: unknown.
func serverVersion(conn *pgconn.PgConn) (major int) {
	_, _ = fmt.Sscanf(conn.ParameterStatus("server_version"), "%d", &major)
	return major
}

// migrate brings the tables up to date, one control plane at a time: an advisory
// lock of conn keeps the others waiting, and they find nothing to do.
func (p *postgres) migrate(ctx context.Context, conn *pgx.Conn, may bool) error {
	have, know, err := p.versions(ctx)
	if err == nil {
		err = checkVersion(have, know)
	}
	if err != nil || have == know {
		return p.named(err)
	}
	if !may {
		return fmt.Errorf("DATABASE_URL: the database %q at %s has version %d, this mini-vercel needs %d: `mini-vercel db migrate` brings it up to date", p.config.Database, p.at(), have, know)
	}
	key := advisoryKey("migrations")
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", key); err != nil {
		return p.explain(err)
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", key) //nolint:errcheck // the connection is closed next
	db := open(sessions(p.config, 0), 2)                                              // a migration takes its time
	defer db.Close()
	return p.named(migrate(ctx, goose.DialectPostgres, db))
}

// versions are the version that the database has, and the one that this program
// would make of it. A database that has none yet is left as it is.
func (p *postgres) versions(ctx context.Context) (have, know int64, err error) {
	provider, err := newProvider(goose.DialectPostgres, p.db)
	if err != nil {
		return 0, 0, err
	}
	for _, source := range provider.ListSources() {
		know = max(know, source.Version)
	}
	var exists bool
	err = p.db.QueryRowContext(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&exists)
	if err != nil || !exists {
		return 0, know, err
	}
	have, _, err = provider.GetVersions(ctx)
	return have, know, err
}

func (p *postgres) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, replyTime)
	defer cancel()
	return p.outward(p.db.PingContext(ctx))
}

func (p *postgres) close() error {
	if p.locks != nil {
		p.locks.Close()
	}
	err := p.counters.Close()
	if e := p.db.Close(); err == nil {
		err = e
	}
	return err
}

// at is the server, for messages.
func (p *postgres) at() string {
	return net.JoinHostPort(p.config.Host, strconv.Itoa(int(p.config.Port)))
}

func (p *postgres) place() string { return fmt.Sprintf("%s, database %q", p.at(), p.config.Database) }
