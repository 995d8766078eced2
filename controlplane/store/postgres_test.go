package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// query asks the database behind an address for one value.
func query[T any](t testing.TB, address, query string, args ...any) (v T) {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

func host(name string) func(controlplane.Tx) error {
	return func(tx controlplane.Tx) error { return tx.SaveHost(&controlplane.HostRow{Host: name}) }
}

func hasHost(t testing.TB, s *store.Store, name string) bool {
	t.Helper()
	err := s.View(t.Context(), func(tx controlplane.Tx) error { _, err := tx.Host(name); return err })
	if err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound {
		t.Fatal(err)
	}
	return err == nil
}

func TestAnUpdateThatDoesNotGoTogetherIsRunAgain(t *testing.T) {
	address := pgtest.Database(t)
	s, other := openPostgres(t, address), openPostgres(t, address)
	defer s.Close()
	defer other.Close()
	if err := s.Update(t.Context(), host("h")); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err := s.Update(t.Context(), func(tx controlplane.Tx) error {
		runs++
		h, err := tx.Host("h")
		if err != nil {
			return err
		}
		if runs < 3 { // somebody is faster
			if err := other.Update(t.Context(), func(tx controlplane.Tx) error {
				return tx.SaveHost(&controlplane.HostRow{Host: "h", Branch: fmt.Sprint("b", runs)})
			}); err != nil {
				t.Error(err)
			}
		}
		h.Branch += "+"
		_ = tx.SaveHost(h) // what f makes of a failure does not count
		return nil
	})
	if err != nil || runs != 3 {
		t.Errorf("%d runs: %v", runs, err)
	}
	if got := query[string](t, address, "SELECT branch FROM hosts"); got != "b2+" {
		t.Errorf("the branch is %q", got)
	}
	runs = 0
	err = s.Update(t.Context(), func(tx controlplane.Tx) error {
		runs++
		if _, err := tx.Host("h"); err != nil {
			return err
		}
		if err := other.Update(t.Context(), func(tx controlplane.Tx) error {
			return tx.SaveHost(&controlplane.HostRow{Host: "h", Branch: fmt.Sprint(runs)})
		}); err != nil {
			t.Error(err)
		}
		return tx.SaveHost(&controlplane.HostRow{Host: "h"})
	})
	if controlplane.CodeOf(err) != controlplane.CodeUnavailable || runs != 20 || !strings.Contains(err.Error(), "busy") {
		t.Errorf("after %d runs that never went together: %v", runs, err)
	}
}

// TestDrawingNeedsNoConnectionOfATransaction: every connection is used by an
// Update that draws.
func TestDrawingNeedsNoConnectionOfATransaction(t *testing.T) {
	address := pgtest.Database(t)
	s, err := store.OpenPostgres(t.Context(), store.PostgresOptions{URL: address, Connections: 12, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const inside = 6 // 12, less 3 for locks, 2 for counters, 1 to listen
	var all, together sync.WaitGroup
	together.Add(inside)
	for n := range inside {
		all.Go(func() {
			once := sync.OnceFunc(func() { together.Done(); together.Wait() })
			err := s.Update(t.Context(), func(tx controlplane.Tx) error {
				if err := tx.DeleteClaims(time.Time{}); err != nil { // it has its connection
					return err
				}
				once()
				_, err := tx.Next(fmt.Sprint("n", n%2), 1)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for range 5 { // locks that are held, and some that wait
		all.Go(func() {
			for n := range 5 {
				_, unlock, err := s.LockProject(t.Context(), fmt.Sprint("p", n))
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Update(t.Context(), host("h")); err != nil {
					t.Error(err)
				}
				unlock()
			}
		})
	}
	all.Wait()
	if n := query[int](t, address, "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mini-vercel'"); n > 12 || n < 2 {
		t.Errorf("%d connections are open", n)
	}
}

func TestAStatementThatTakesTooLong(t *testing.T) {
	address := pgtest.Database(t)
	s, err := store.OpenPostgres(t.Context(), store.PostgresOptions{URL: address, StatementTime: 100 * time.Millisecond, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Update(t.Context(), host("h")); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("UPDATE hosts SET branch = 'x'"); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), host("h")); controlplane.CodeOf(err) != controlplane.CodeUnavailable || !strings.Contains(err.Error(), "busy") {
		t.Errorf("a row that another holds: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), host("h")); err != nil {
		t.Errorf("then: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = s.Update(ctx, func(tx controlplane.Tx) error { cancel(); return host("i")(tx) })
	if !errors.Is(err, context.Canceled) || hasHost(t, s, "i") {
		t.Errorf("whose caller has gone: %v", err)
	}
}

func TestFiveStartAtOnce(t *testing.T) {
	for _, version := range []int64{0, 2} {
		t.Run(fmt.Sprint("from version ", version), func(t *testing.T) {
			address := pgtest.Database(t)
			if version > 0 {
				migrateTo(t, address, version)
			}
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					s, err := store.OpenPostgres(t.Context(), store.PostgresOptions{URL: address, Migrate: true})
					if err != nil {
						t.Error(err)
						return
					}
					defer s.Close()
					if err := s.Update(t.Context(), host("h")); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			files, err := filepath.Glob("migrations/*.sql")
			if err != nil {
				t.Fatal(err)
			}
			if n := query[int](t, address, "SELECT COUNT(*) FROM goose_db_version WHERE version_id > 0 AND is_applied"); n != len(files) {
				t.Errorf("%d migrations were made of %d", n, len(files))
			}
		})
	}
}

func migrateTo(t *testing.T, address string, version int64) {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseThatANewerVersionHasMigrated(t *testing.T) {
	address := pgtest.Database(t)
	openPostgres(t, address).Close()
	path := filepath.Join(t.TempDir(), "control.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for driver, name := range map[string]string{"pgx": address, "sqlite": "file:" + path} {
		db, err := sql.Open(driver, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, " + map[string]string{"pgx": "true", "sqlite": "1"}[driver] + ")"); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	_, err = store.OpenPostgres(t.Context(), store.PostgresOptions{URL: address, Migrate: true})
	_, err2 := store.Open(t.Context(), path)
	for _, err := range []error{err, err2} {
		if err == nil || !strings.Contains(err.Error(), "the database has version 9999, this mini-vercel knows up to") || strings.Contains(err.Error(), "\n") {
			t.Error(err)
		}
	}
}

// TestWithoutTheRightToMigrate: one user owns the tables, another one only
// changes rows.
func TestWithoutTheRightToMigrate(t *testing.T) {
	address := pgtest.Database(t)
	name := pgtest.Name(address)
	exec := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if err := exec(address, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() { exec("DROP OWNED BY app_"+name, "DROP ROLE app_"+name) })
	exec("CREATE ROLE app_"+name+" LOGIN PASSWORD 'app'", "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT USAGE ON SCHEMA public TO app_"+name)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("app_"+name, "app")
	open := func(migrate bool) (*store.Store, error) {
		return store.OpenPostgres(t.Context(), store.PostgresOptions{URL: u.String(), Migrate: migrate})
	}
	if _, err := open(true); err == nil || !strings.Contains(err.Error(), "`mini-vercel db migrate`") || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("it has migrated: %v", err)
	}
	if _, err := open(false); err == nil || !strings.Contains(err.Error(), "`mini-vercel db migrate`") {
		t.Errorf("it has opened what is not up to date: %v", err)
	}
	openPostgres(t, address).Close()
	exec("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app_" + name)
	s, err := open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, unlock, err := s.LockProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	err = s.Update(t.Context(), func(tx controlplane.Tx) error {
		_, err := tx.Next("n", 1)
		return errors.Join(err, host("h")(tx))
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAStartThatFailsSaysWhy(t *testing.T) {
	address := pgtest.Database(t)
	with := func(edit func(*url.URL)) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		edit(u)
		return u.String()
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := free.Addr().String()
	free.Close()
	if err := exec(address, "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec(address, "DROP DATABASE ascii WITH (FORCE)") })
	for name, row := range map[string]struct{ address, want string }{
		"no such database": {with(func(u *url.URL) { u.Path = "/nothing" }), `has no database "nothing"`},
		"wrong password":   {with(func(u *url.URL) { u.User = url.UserPassword(pgtest.User, "hunter2!") }), `refuses the user "tester": the password is wrong`},
		"unknown user":     {with(func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2!") }), `refuses the user "nobody"`},
		"nobody listens":   {with(func(u *url.URL) { u.Host = closed }), "can't be reached"},
		"no such host":     {with(func(u *url.URL) { u.Host = "nowhere.invalid:5432" }), "can't be reached"},
		"not UTF-8":        {with(func(u *url.URL) { u.Path = "/ascii" }), "has the encoding SQL_ASCII"},
		"too old":          {"postgres://u:hunter2!@" + fakeServer(t, map[string]string{"server_version": "11.22 (Debian)", "server_encoding": "UTF8"}) + "/x?sslmode=disable", "has version 11.22 (Debian): 13 or newer is needed"},
		"a standby":        {"postgres://u:hunter2!@" + fakeServer(t, map[string]string{"server_version": "15.1", "server_encoding": "UTF8", "in_hot_standby": "on"}) + "/x?sslmode=disable", "is a standby"},
		"no address":       {"postgres://u:hunter2!@[::1/x", "can't be"},
		"a bad port":       {"postgres://u:hunter2!@localhost:port/x", "can't be"},
		"a bad escape":     {"postgres://u:hunter2!%zz@localhost/x", "can't be"},
		"a bad pair":       {"host=localhost password='hunter2! x", "can't be"},
		"a bad mode":       {"postgres://u:hunter2!@localhost/x?sslmode=perhaps", "sslmode"},
		"no such file":     {"postgres://u:hunter2!@localhost/x?sslmode=verify-ca&sslrootcert=/nonexistent/ca.pem", "/nonexistent/ca.pem"},
		"something else":   {"mysql://u:hunter2!@localhost/x", "can't be"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			s, err := store.OpenPostgres(ctx, store.PostgresOptions{URL: row.address, Migrate: true})
			if err == nil {
				s.Close()
				t.Fatal("it has started")
			}
			said := err.Error()
			if !strings.HasPrefix(said, "DATABASE_URL") || !strings.Contains(said, row.want) || strings.Contains(said, "\n") {
				t.Errorf("it says: %s", said)
			}
			if strings.Contains(said, "hunter2") || strings.Contains(said, pgtest.Password) || strings.Contains(said, url.QueryEscape(pgtest.Password)) {
				t.Errorf("it shows the password: %s", said)
			}
		})
	}
}

// TestNoPartOfAPasswordIsShown writes passwords into addresses as they are: a part
// of each is then taken for a port, a host, a database or a setting.
func TestNoPartOfAPasswordIsShown(t *testing.T) {
	for _, password := range []string{
		"hunter/two", "12/hunter", "/hunter", "hunter@two", "hunter?two", "hunter#two", "hunter:two", "hunter two", "hunter/ two", "hunter%two", "hun[ter", "a/hunter@two ?",
	} {
		for _, address := range []string{
			"postgres://u:" + password + "@localhost:1/x",
			"postgres://u:" + password + "@localhost:1/x?sslmode=perhaps",
			"postgres://localhost:1/x?user=u&password=" + password + "&sslmode=perhaps",
			"host=localhost port=1 user=u password=" + password + " sslmode=perhaps",
			"host=localhost port=1 user=u password='" + password + " sslmode=disable",
		} {
			place, err := store.Place(address)
			if said := fmt.Sprint(place, err); strings.Contains(said, "hunter") || strings.Contains(said, "two") {
				t.Errorf("%s: it says: %s", address, said)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "DATABASE_URL") {
				t.Errorf("%s: it says: %s", address, err)
			}
		}
	}
	for _, address := range []string{
		"postgres://u:hunter%2Ftwo%40@localhost:1/x", "postgres://u@localhost:1/x?application_name=me@example.com", "postgres://localhost:1/x?application_name=a/b@c",
	} {
		if place, err := store.Place(address); err != nil || place != `localhost:1, database "x"` {
			t.Errorf("%s: %q, %v", address, place, err)
		}
	}
}

func exec(address, statement string) error {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement)
	return err
}

// fakeServer lets everyone in and says what it is.
func fakeServer(t *testing.T, status map[string]string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { l.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b := pgproto3.NewBackend(conn, conn)
			if _, err := b.ReceiveStartupMessage(); err == nil {
				b.Send(&pgproto3.AuthenticationOk{})
				for name, value := range status {
					b.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
				}
				b.Send(&pgproto3.BackendKeyData{SecretKey: []byte{1, 2, 3, 4}})
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				_ = b.Flush()
				_, _ = b.Receive() // until it goes away
			}
			conn.Close()
		}
	})
	return l.Addr().String()
}

func TestTLSModes(t *testing.T) {
	server := pgtest.Start(t)
	base := server.Database(t)
	address := func(user *url.Userinfo, host string, parameters ...string) string {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		u.Host = fmt.Sprintf("%s:%d", host, server.Port)
		if user != nil {
			u.User = user
		}
		q := url.Values{}
		for i := 0; i < len(parameters); i += 2 {
			q.Set(parameters[i], parameters[i+1])
		}
		u.RawQuery = q.Encode()
		return u.String()
	}
	file := func(name string) string { return filepath.Join(server.Dir, name) }
	certificate := url.User(pgtest.CertificateUser)
	for name, row := range map[string]struct {
		address string
		ok, tls bool
	}{
		"disable":                          {address(nil, "127.0.0.1", "sslmode", "disable"), true, false},
		"prefer":                           {address(nil, "127.0.0.1", "sslmode", "prefer"), true, true},
		"require":                          {address(nil, "127.0.0.1", "sslmode", "require"), true, true},
		"verify-ca":                        {address(nil, "127.0.0.1", "sslmode", "verify-ca", "sslrootcert", file("ca.pem")), true, true},
		"verify-ca, of another CA":         {address(nil, "127.0.0.1", "sslmode", "verify-ca", "sslrootcert", file("other-ca.pem")), false, false},
		"verify-full":                      {address(nil, "localhost", "sslmode", "verify-full", "sslrootcert", file("ca.pem")), true, true},
		"verify-full, of another name":     {address(nil, "127.0.0.1", "sslmode", "verify-full", "sslrootcert", file("ca.pem")), false, false},
		"verify-full, of the system's":     {address(nil, "localhost", "sslmode", "verify-full"), false, false},
		"a client certificate":             {address(certificate, "localhost", "sslmode", "verify-full", "sslrootcert", file("ca.pem"), "sslcert", file("client.pem"), "sslkey", file("client.key")), true, true},
		"no client certificate":            {address(certificate, "127.0.0.1", "sslmode", "require"), false, false},
		"a client certificate, no TLS":     {address(certificate, "127.0.0.1", "sslmode", "disable"), false, false},
		"another's client certificate":     {address(certificate, "127.0.0.1", "sslmode", "require", "sslcert", file("other-ca.pem"), "sslkey", file("other-ca.key")), false, false},
		"verify-ca does not ask for names": {address(nil, "127.0.0.1", "sslmode", "verify-ca", "sslrootcert", file("ca.pem"), "application_name", "mine"), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := store.OpenPostgres(t.Context(), store.PostgresOptions{URL: row.address, Migrate: true})
			if err != nil {
				if row.ok || !strings.HasPrefix(err.Error(), "DATABASE_URL") || strings.Contains(err.Error(), pgtest.Password) {
					t.Error(err)
				}
				return
			}
			defer s.Close()
			if !row.ok {
				t.Fatal("it is connected")
			}
			if got := query[bool](t, row.address, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != row.tls {
				t.Errorf("TLS: %v", got)
			}
		})
	}
}

// TestListenersLearnOfAGap breaks the connection that notes come by: whoever
// listens is told that some may be missing, and hears what comes then.
func TestListenersLearnOfAGap(t *testing.T) {
	server := pgtest.Start(t)
	address := server.Database(t)
	s := openPostgres(t, address)
	defer s.Close()
	heard := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Listen(ctx, func(note string) { heard <- note }, func() { heard <- "gap" })
	}()
	defer func() { cancel(); <-done }()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("heard %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q was not heard", want)
		}
	}
	notify := func(note string) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Notify(note) }); err != nil {
			t.Fatal(err)
		}
	}
	next("gap")
	notify("one")
	next("one")
	if err := server.Exec(pgtest.Name(address), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"); err != nil {
		t.Fatal(err)
	}
	next("gap")
	notify("two")
	next("two")
	server.Kill()
	server.Start(t)
	next("gap")
	notify("three")
	next("three")
}

// TestAPanicEndsItsTurn has an update panic, and then another one that needs to
// be alone.
func TestAPanicEndsItsTurn(t *testing.T) {
	address := pgtest.Database(t)
	s, other := openPostgres(t, address), openPostgres(t, address)
	defer s.Close()
	defer other.Close()
	if err := s.Update(t.Context(), host("h")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.Update(t.Context(), func(controlplane.Tx) error { panic("a mistake") })
	}()
	runs := 0
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := s.Update(ctx, func(tx controlplane.Tx) error {
		runs++
		h, err := tx.Host("h")
		if err != nil {
			return err
		}
		if runs < 7 {
			if err := other.Update(ctx, func(tx controlplane.Tx) error {
				return tx.SaveHost(&controlplane.HostRow{Host: "h", Branch: fmt.Sprint(runs)})
			}); err != nil {
				t.Error(err)
			}
		}
		return tx.SaveHost(h)
	})
	if err != nil || runs != 7 {
		t.Errorf("%d runs: %v", runs, err)
	}
}

// TestABackupMayRest: who reads a table over a slow wire keeps the transaction
// resting for longer than others may.
func TestABackupMayRest(t *testing.T) {
	address := pgtest.Database(t)
	first := openPostgres(t, address)
	err := first.Update(t.Context(), host("h"))
	first.Close()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("idle_in_transaction_session_timeout", "100")
	u.RawQuery = q.Encode()
	s := openPostgres(t, u.String())
	defer s.Close()
	const resting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction' AND state_change < clock_timestamp() - INTERVAL '500 milliseconds'"
	seen := 0
	err = s.View(t.Context(), func(tx controlplane.Tx) error {
		for range 2 { // and the table after it
			err := tx.EachRow("hosts", func([]string, []any) error {
				seen++
				eventually(t, "it rests for longer than others may", func() bool { return query[int](t, address, resting) == 1 })
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || seen != 2 {
		t.Errorf("%d rows: %v", seen, err)
	}
	// Others still may not.
	err = s.View(t.Context(), func(tx controlplane.Tx) error {
		if _, err := tx.Host("h"); err != nil {
			return err
		}
		eventually(t, "it is ended", func() bool {
			return query[int](t, address, "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'") == 0
		})
		_, err := tx.Host("h")
		return err
	})
	if controlplane.CodeOf(err) != controlplane.CodeUnavailable {
		t.Errorf("a view that rests: %v", err)
	}
}
