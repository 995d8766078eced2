package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// TestTheServerIsKilled: while it is away callers are told so; what was kept is
// there when it is back, and nobody needs to start again.
func TestTheServerIsKilled(t *testing.T) {
	server := pgtest.Start(t)
	s := openPostgres(t, server.Database(t))
	defer s.Close()
	if err := s.Update(t.Context(), host("before")); err != nil {
		t.Fatal(err)
	}
	_, unlock, err := s.LockProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		server.Kill()
		unavailable := func(what string, err error) {
			t.Helper()
			if controlplane.CodeOf(err) != controlplane.CodeUnavailable {
				t.Errorf("%s: %v", what, err)
			}
		}
		unavailable("view", s.View(t.Context(), func(tx controlplane.Tx) error { _, err := tx.Host("before"); return err }))
		unavailable("update", s.Update(t.Context(), host("during")))
		unavailable("ping", s.Ping(t.Context()))
		_, _, err = s.LockProject(t.Context(), "q")
		unavailable("lock", err)
		server.Start(t)
		if !hasHost(t, s, "before") || hasHost(t, s, "during") {
			t.Error("what there was before is lost, or what failed is there")
		}
		if err := errors.Join(s.Update(t.Context(), host("after")), s.Ping(t.Context())); err != nil {
			t.Error(err)
		}
	}
	unlock()
	_, unlock, err = s.LockProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestConnectionsThatAreEnded: an administrator ends all of them while work goes
// on, in the middle of transactions. Each Update counts once.
func TestConnectionsThatAreEnded(t *testing.T) {
	server := pgtest.Start(t)
	address := server.Database(t)
	s := openPostgres(t, address)
	defer s.Close()
	end := func() {
		if err := server.Exec("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+pgtest.Name(address)+"'"); err != nil {
			t.Error(err)
		}
	}
	runs := 0
	err := s.Update(t.Context(), func(tx controlplane.Tx) error {
		runs++
		err := host("h")(tx)
		if runs == 1 {
			end()
		}
		return errors.Join(err, host("i")(tx))
	})
	if err != nil || runs != 2 || !hasHost(t, s, "h") || !hasHost(t, s, "i") {
		t.Errorf("%d runs: %v", runs, err)
	}
	end() // those that rest
	if !hasHost(t, s, "h") {
		t.Error("a view after its connection was ended")
	}
	err = s.View(t.Context(), func(tx controlplane.Tx) error {
		if _, err := tx.Host("h"); err != nil {
			return err
		}
		end()
		_, err := tx.Host("i")
		return err
	})
	if controlplane.CodeOf(err) != controlplane.CodeUnavailable {
		t.Errorf("a view whose connection was ended: %v", err)
	}
}

// TestALockThatIsLost: its holder is told, writes nothing more, and another one
// has it.
func TestALockThatIsLost(t *testing.T) {
	address := pgtest.Database(t)
	s, other := openPostgres(t, address), openPostgres(t, address)
	defer s.Close()
	defer other.Close()
	locked, unlock, err := s.LockProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := s.Update(locked, host("held")); err != nil {
		t.Fatal(err)
	}
	next := make(chan func())
	go func() {
		_, unlock, err := other.LockProject(t.Context(), "p")
		if err != nil {
			t.Error(err)
		}
		next <- unlock
	}()
	query[bool](t, address, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
	(<-next)()
	<-locked.Done()
	if err := context.Cause(locked); controlplane.CodeOf(err) != controlplane.CodeUnavailable {
		t.Errorf("the reason: %v", err)
	}
	for name, ctx := range map[string]context.Context{"the lock's": locked, "one that does not end": context.WithoutCancel(locked)} {
		if err := s.Update(ctx, host("lost")); controlplane.CodeOf(err) != controlplane.CodeUnavailable {
			t.Errorf("an update with %s context: %v", name, err)
		}
	}
	if hasHost(t, s, "lost") {
		t.Error("a former holder has written")
	}
	if err := s.Update(t.Context(), host("other")); err != nil {
		t.Errorf("an update without a lock: %v", err)
	}
}

// TestAnUpdateOfAFormerHolderThatHasBegun: whoever has the lock next waits until
// it has ended.
func TestAnUpdateOfAFormerHolderThatHasBegun(t *testing.T) {
	address := pgtest.Database(t)
	s, other := openPostgres(t, address), openPostgres(t, address)
	defer s.Close()
	defer other.Close()
	locked, unlock, err := s.LockProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	var committed atomic.Bool
	next := make(chan func())
	runs := 0
	err = s.Update(context.WithoutCancel(locked), func(tx controlplane.Tx) error {
		if runs++; runs > 1 {
			t.Error("it was run again")
			return nil
		}
		query[bool](t, address, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
		go func() {
			_, unlock, err := other.LockProject(t.Context(), "p")
			if err != nil {
				t.Error(err)
			}
			if !committed.Load() && !hasHost(t, other, "begun") {
				t.Error("the next holder did not wait")
			}
			next <- unlock
		}()
		eventually(t, "the next holder waits for the row", func() bool {
			return query[int](t, address, "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%project_locks%'") == 1
		})
		return host("begun")(tx)
	})
	committed.Store(true)
	if err != nil {
		t.Error(err)
	}
	(<-next)()
}

// TestACommitWithoutAnAnswer: the connection breaks when the commit is sent,
// before or after the server has it. Nothing is lost and nothing done twice.
func TestACommitWithoutAnAnswer(t *testing.T) {
	for name, row := range map[string]struct {
		arrives bool
		runs    int
	}{"it arrived": {true, 1}, "it did not": {false, 2}} {
		t.Run(name, func(t *testing.T) {
			address := pgtest.Database(t)
			p := newProxy(t, address)
			s := openPostgres(t, p.address)
			defer s.Close()
			if err := s.Update(t.Context(), host("before")); err != nil {
				t.Fatal(err)
			}
			runs := 0
			err := s.Update(t.Context(), func(tx controlplane.Tx) error {
				runs++
				if runs == 1 {
					p.cutAtCommit(row.arrives)
				}
				_, err := tx.Next("n", 1)
				return errors.Join(err, host("h")(tx))
			})
			if err != nil || runs != row.runs {
				t.Errorf("%d runs: %v", runs, err)
			}
			if !hasHost(t, s, "h") {
				t.Error("it was not kept")
			}
		})
	}
	t.Run("and nobody can say", func(t *testing.T) {
		server := pgtest.Start(t)
		p := newProxy(t, server.Database(t))
		s := openPostgres(t, p.address)
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		p.onCut = func() { server.Kill(); cancel() }
		err := s.Update(ctx, func(tx controlplane.Tx) error {
			p.cutAtCommit(false)
			return host("h")(tx)
		})
		if controlplane.CodeOf(err) != controlplane.CodeUnavailable && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// proxy stands before a server, and breaks a connection when a commit comes.
type proxy struct {
	address string
	target  string
	onCut   func()
	cut     atomic.Int32 // 1: before it arrives, 2: after
}

func (p *proxy) cutAtCommit(arrives bool) {
	p.cut.Store(1)
	if arrives {
		p.cut.Store(2)
	}
}

func newProxy(t *testing.T, address string) *proxy {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: u.Host}
	u.Host = l.Addr().String()
	p.address = u.String()
	var serving sync.WaitGroup
	t.Cleanup(func() { l.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(conn) })
		}
	})
	return p
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() {
		_, _ = io.Copy(client, server)
		client.Close()
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			server.Close()
			return
		}
		if bytes.Contains(buffer[:n], []byte("commit\x00")) {
			switch p.cut.Swap(0) {
			case 2:
				// The answer reaches nobody: the server gets the commit, and its
				// connection ends when it has dealt with it.
				client.Close()
				_, _ = server.Write(buffer[:n])
				_ = server.(*net.TCPConn).CloseWrite()
				return
			case 1:
				server.Close()
				client.Close()
				if p.onCut != nil {
					p.onCut()
				}
				return
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}
