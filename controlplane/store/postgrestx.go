package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const (
	updateTries     = 20 // of one transaction
	togetherTries   = 4  // of these, beside others of this process
	uniqueTries     = 3
	connectionTries = 3
	firstWait       = 2 * time.Millisecond
	longestWait     = 250 * time.Millisecond
)

var (
	errNoConnection  = errors.New("no connection was free in time")
	errStatementTime = errors.New("the database took too long")
)

// view reads one state of the database. Only its beginning is tried again.
func (p *postgres) view(ctx context.Context, f func(controlplane.Tx) error) error {
	for try := 1; ; try++ {
		began := false
		err := p.transaction(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(t *tx) error {
			began = true
			return f(t)
		})
		if began || reasonOf(err) != retryConnection || try == connectionTries || ctx.Err() != nil {
			return p.outward(err)
		}
		if err := p.pause(ctx, try, retryConnection); err != nil {
			return err
		}
	}
}

// allTurns is more than there will be transactions at once.
const allTurns = 1 << 20

// update runs f in a serializable transaction: as if it were alone. The server
// refuses one of two that did not go together, and that one is run again, as is
// one whose connection broke before it was committed.
func (p *postgres) update(ctx context.Context, f func(controlplane.Tx) error) error {
	held, _ := ctx.Value(lockKey{}).(*heldLock)
	tries := map[string]int{retryUnique: uniqueTries, retryConnection: connectionTries}
	once := func(t *tx) error {
		if held != nil {
			if err := t.fence(held); err != nil {
				return err
			}
		}
		return f(t)
	}
	for try := 1; ; try++ {
		// Who was refused again and again is let through alone.
		turn := int64(1)
		if try > togetherTries {
			turn = allTurns
		}
		err := p.inTurn(ctx, turn, once)
		reason := ""
		if err != nil && !errors.Is(err, errUnknown) {
			reason = reasonOf(err)
		}
		if left, limited := tries[reason]; limited {
			tries[reason] = left - 1
			if left == 1 {
				reason = ""
			}
		}
		if reason == "" || try == updateTries || ctx.Err() != nil {
			return p.outward(err)
		}
		if err := p.pause(ctx, try, reason); err != nil {
			return err
		}
	}
}

// inTurn runs f once, when it is its turn. The turn ends also where f panics.
func (p *postgres) inTurn(ctx context.Context, turn int64, f func(*tx) error) error {
	if err := p.turns.Acquire(ctx, turn); err != nil {
		return context.Cause(ctx)
	}
	defer p.turns.Release(turn)
	return p.transaction(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable}, f)
}

// pause waits before the next try, for longer each time, and for no two the
// same.
func (p *postgres) pause(ctx context.Context, try int, reason string) error {
	p.metrics.retries.WithLabelValues(reason).Inc()
	first := firstWait
	if reason == retryConnection {
		first = 25 * firstWait
	}
	most := min(first<<min(try, 10), longestWait)
	timer := time.NewTimer(most/4 + rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// transaction runs f once. The error of a statement comes first: it ended the
// transaction, whatever f made of it.
func (p *postgres) transaction(ctx context.Context, o *sql.TxOptions, f func(*tx) error) error {
	// The transaction's own context: its caller's ends it until it is committed,
	// but not in between, when nobody would know what became of it.
	within, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	unbind := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	defer unbind()

	late := time.AfterFunc(beginTime, func() { end(errNoConnection) })
	db, err := p.db.BeginTx(within, o)
	late.Stop()
	if err != nil {
		return begun(within, err)
	}
	defer db.Rollback()
	t := &tx{ctx: within, tx: db, postgres: p, readOnly: o.ReadOnly}
	err = f(t)
	if t.failed != nil {
		return begun(within, t.failed)
	}
	if err != nil {
		return err
	}
	xid, err := t.id()
	if err != nil {
		return begun(within, err)
	}
	if !unbind() {
		return context.Cause(ctx)
	}
	late = time.AfterFunc(p.statementTime+replyTime, func() { end(errStatementTime) })
	err = db.Commit()
	late.Stop()
	return p.committed(ctx, xid, err)
}

// begun says why a transaction was ended, where this process did it itself.
func begun(within context.Context, err error) error {
	if cause := context.Cause(within); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", errStatementTime, err)
	}
	return err
}

// draw runs a statement of a counter outside of the transaction: the row of a
// counter, held until a transaction ends, would have all of them wait for one.
// What is drawn by one that is not committed is left out.
func (p *postgres) draw(t *tx, query string, args ...any) scanner {
	if t.readOnly {
		return failedRow{errors.New("a view draws no numbers")}
	}
	if !t.began {
		// What the transaction sees must be older than what it draws: else a
		// smaller number could follow a greater one on the same row.
		var one int
		if err := t.row("SELECT 1").Scan(&one); err != nil {
			return failedRow{err}
		}
	}
	ctx, cancel := context.WithTimeout(t.ctx, p.statementTime+replyTime)
	return &oneRow{t: t, row: p.counters.QueryRowContext(ctx, query, arguments(args)...), done: cancel}
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// id is the server's number of a transaction that has written; none: it has not.
func (t *tx) id() (xid string, err error) {
	if !t.wrote {
		return "", nil
	}
	err = t.row("SELECT COALESCE(CAST(pg_current_xact_id_if_assigned() AS TEXT), '')").Scan(&xid)
	return xid, err
}

// outcomeTime is how long the outcome of a commit is asked for whose answer did
// not come.
const outcomeTime = 15 * time.Second

// errAborted says of a transaction whose connection broke that it was not
// committed.
var errAborted = errors.New("the connection broke before the commit")

// committed is what became of a commit. Where the connection broke before the
// answer came the server is asked: nothing is repeated that may have happened.
func (p *postgres) committed(ctx context.Context, xid string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrTxCommitRollback), reasonOf(err) != "" && reasonOf(err) != retryConnection, xid == "":
		return fmt.Errorf("commit: %w", err) // it did not happen, or there was nothing
	}
	within, cancel := context.WithTimeout(ctx, outcomeTime)
	defer cancel()
	for try := 1; ; try++ {
		state, e := p.outcome(within, xid)
		switch {
		case e == nil && state == "committed":
			return nil
		case e == nil && state == "aborted":
			return fmt.Errorf("%w: %w", errAborted, err)
		case e == nil && state == "":
			return fmt.Errorf("%w: commit: %w", errUnknown, err)
		}
		timer := time.NewTimer(min(firstWait<<min(try, 10), longestWait))
		select {
		case <-timer.C:
		case <-within.Done():
			timer.Stop()
			return fmt.Errorf("%w: commit: %w", errUnknown, errors.Join(err, e))
		}
	}
}

// outcome asks what became of a transaction: committed, aborted, in progress,
// or nothing where the server no longer knows.
func (p *postgres) outcome(ctx context.Context, xid string) (state string, err error) {
	ctx, cancel := context.WithTimeout(ctx, replyTime)
	defer cancel()
	err = p.counters.QueryRowContext(ctx, "SELECT COALESCE(pg_xact_status(CAST(CAST($1 AS TEXT) AS xid8)), '')", xid).Scan(&state)
	return state, err
}
