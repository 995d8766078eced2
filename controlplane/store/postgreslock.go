package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	lockProbe = 4 * time.Second // how often a held lock's connection is tried
	lockReply = 4 * time.Second // for it to answer

	// lockIdle is after which silence the server ends a connection of a lock: its
	// holder hangs, though its machine answers.
	lockIdle       = 15 * time.Second
	lockIdleServer = 14 // the first PostgreSQL that can

	firstLockWait   = 10 * time.Millisecond // until a lock that is taken is tried again
	longestLockWait = 250 * time.Millisecond
)

// heldLock is a project's lock that is held: an advisory lock of a connection of
// its own, and the token that was written when it was taken.
type heldLock struct{ project, token string }

// lockKey is where a context has its [heldLock].
type lockKey struct{}

// lockProject takes an advisory lock on a connection of its own. The server
// gives it to the next one when the connection ends, whether this process knows
// or not; so three things keep a former holder from acting:
//
//   - Every Update with the lock's context, or one made from it, begins by
//     holding the row where its token stands. The next holder writes its own
//     token there first: it waits for such an Update, and after it none begins.
//   - The context ends as soon as the connection is seen to be broken: at once
//     where the server or this process closed it, else within lockProbe +
//     lockReply, before the server gives up a connection that is silent. Who
//     hangs, and sees nothing, is ended by the server after lockIdle.
//   - What is written to the bucket under the lock can be repeated, and nothing
//     is freed there that was young when the lock was taken.
func (p *postgres) lockProject(ctx context.Context, project string) (locked context.Context, release func(), err error) {
	held := &heldLock{project: project, token: rand.Text()}
	key := advisoryKey("project " + project)
	var conn *pgxpool.Conn
	for try := 1; ; try++ {
		if conn, err = p.takeLock(ctx, key, held); err == nil {
			break
		}
		if reasonOf(err) != retryConnection || try == connectionTries || ctx.Err() != nil {
			return nil, nil, p.outward(err)
		}
		p.metrics.retries.WithLabelValues(retryConnection).Inc()
	}
	locked, lose := context.WithCancelCause(context.WithValue(ctx, lockKey{}, held))
	watch, stop := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := watchConnection(watch, conn.Conn().PgConn()); err != nil {
			p.metrics.locksLost.Inc()
			lose(fmt.Errorf("%w: lock of project %s: %w", errLockLost, project, err))
		}
	}()
	return locked, func() {
		stop()
		<-watched
		lose(nil)
		within, cancel := context.WithTimeout(context.Background(), lockReply)
		defer cancel()
		if _, err := conn.Exec(within, "SELECT pg_advisory_unlock($1)", key); err != nil {
			_ = conn.Conn().Close(within) // ends the lock
		}
		conn.Release()
	}, nil
}

// lockPool makes the pool of the connections that hold locks.
func lockPool(config *pgx.ConnConfig, connections int, idle time.Duration) (*pgxpool.Pool, error) {
	pool, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err) // no address was given to it
	}
	pool.ConnConfig = sessions(config, 0)
	pool.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	pool.MaxConns, pool.MinConns = int32(connections), 0
	// Those that nobody uses go before the server ends them.
	pool.MaxConnIdleTime, pool.HealthCheckPeriod = idle/2, idle/4
	if _, given := config.RuntimeParams["idle_session_timeout"]; !given {
		pool.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			if serverVersion(conn.PgConn()) < lockIdleServer {
				return nil
			}
			_, err := conn.Exec(ctx, "SET idle_session_timeout = "+strconv.FormatInt(idle.Milliseconds(), 10))
			return err
		}
	}
	return pgxpool.NewWithConfig(context.Background(), pool)
}

// takeLock tries until the lock is free. Who waits has no connection meanwhile:
// else a few projects whose locks are held for long would hold up all others.
func (p *postgres) takeLock(ctx context.Context, key int64, held *heldLock) (*pgxpool.Conn, error) {
	for wait := firstLockWait; ; wait = min(2*wait, longestLockWait) {
		if conn, err := p.tryLock(ctx, key, held); conn != nil || err != nil {
			return conn, err
		}
		timer := time.NewTimer(wait/2 + mathrand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// tryLock returns nil where somebody else has the lock.
func (p *postgres) tryLock(ctx context.Context, key int64, held *heldLock) (*pgxpool.Conn, error) {
	conn, err := p.locks.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	free := false
	if err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&free); err == nil && !free {
		conn.Release()
		return nil, nil
	}
	if err == nil {
		_, err = conn.Exec(ctx, "INSERT INTO project_locks (project_id, token) VALUES ($1, $2) ON CONFLICT (project_id) DO UPDATE SET token = $2",
			text(held.project), held.token)
	}
	if err != nil {
		_ = conn.Conn().Close(ctx) // ends the lock, if it was taken
		conn.Release()
		return nil, err
	}
	return conn, nil
}

// watchConnection returns nil when ctx ends, and else why the connection, which
// nobody else uses, is no good any more.
func watchConnection(ctx context.Context, conn *pgconn.PgConn) error {
	for {
		wait, cancel := context.WithTimeout(ctx, lockProbe)
		err := conn.WaitForNotification(wait) // nobody notifies: it returns when the connection ends
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && conn.IsClosed() {
			return err
		}
		reply, cancel := context.WithTimeout(ctx, lockReply)
		err = conn.Ping(reply)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fence begins an Update of a lock's holder.
func (t *tx) fence(held *heldLock) error {
	var one int
	err := t.row("SELECT 1 FROM project_locks WHERE project_id = $1 AND token = $2 FOR SHARE", text(held.project), held.token).Scan(&one)
	if isNoRows(err) {
		return fmt.Errorf("%w: the lock of project %s has another holder", errLockLost, held.project)
	}
	return err
}

// advisoryKey is the number by which the server knows a lock.
func advisoryKey(name string) int64 {
	sum := sha256.Sum256([]byte("mini-vercel " + name))
	return int64(binary.BigEndian.Uint64(sum[:]))
}
