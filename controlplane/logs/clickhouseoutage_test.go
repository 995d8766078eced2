package logs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
)

var created = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func ref(deployment string) controlplane.LogRef {
	return controlplane.LogRef{Deployment: deployment, Created: created}
}

// TestClickHouseComesBack kills the server while builds print, and starts it
// again.
func TestClickHouseComesBack(t *testing.T) {
	server := clickhousetest.Start(t)
	c := openClickHouse(t, optionsFor(server))
	write := func(after int) error {
		return c.Append(t.Context(), controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, after, 10)})
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	server.Kill()
	for n := range 5 {
		if err := write(10); !errors.Is(err, logs.ErrAway) {
			t.Fatalf("append %d: %v", n, err)
		}
		if _, err := c.Lines(t.Context(), ref("d"), controlplane.Cursor{}, 10, ""); !errors.Is(err, logs.ErrAway) {
			t.Fatalf("read %d: %v", n, err)
		}
	}
	if err := c.Ping(t.Context()); !errors.Is(err, logs.ErrAway) || strings.Contains(err.Error(), "\n") {
		t.Errorf("ping: %v", err)
	}
	if err := c.Expire(t.Context(), time.Time{}); !errors.Is(err, logs.ErrAway) {
		t.Errorf("expire: %v", err)
	}
	if err := c.Delete(t.Context(), ref("other")); !errors.Is(err, logs.ErrAway) {
		t.Errorf("delete: %v", err)
	}
	eventually(t, "no goroutine is left of what failed", func() bool { return runtime.NumGoroutine() <= before })
	server.Start(t)
	if err := write(10); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	got, err := c.Lines(t.Context(), ref("d"), controlplane.Cursor{}, 100, "")
	if err != nil || len(got) != 20 {
		t.Errorf("%d lines, %v", len(got), err)
	}
}

// TestClickHouseIsKilledWhileManyAppend kills it in the middle of inserts, again
// and again: whoever was told that lines are stored finds them, once.
func TestClickHouseIsKilledWhileManyAppend(t *testing.T) {
	server := clickhousetest.Start(t)
	c := openClickHouse(t, optionsFor(server))
	const builders, batches = 8, 40
	var all sync.WaitGroup
	for b := range builders {
		all.Go(func() {
			for n := range batches {
				// As a builder does: again until it is stored.
				for c.Append(t.Context(), controlplane.LogBatch{LogRef: ref(string(rune('a' + b))), Lines: numbered(1, n*100, 100)}) != nil {
					time.Sleep(20 * time.Millisecond) // between two tries
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for range 3 {
		time.Sleep(100 * time.Millisecond) // at any moment
		server.Kill()
		server.Start(t)
	}
	<-done
	for b := range builders {
		got, err := c.Lines(t.Context(), ref(string(rune('a'+b))), controlplane.Cursor{}, 5000, "")
		if err != nil || len(got) != batches*100 {
			t.Fatalf("%d lines, %v", len(got), err)
		}
		for i, l := range got {
			if l.Seq != int64(i+1) {
				t.Fatalf("line %d has seq %d", i, l.Seq)
			}
		}
	}
}

// TestClickHouseThatHangsHoldsNobodyForLong stops the server where it is: calls
// end with their deadlines, and nothing is left of them.
func TestClickHouseThatHangsHoldsNobodyForLong(t *testing.T) {
	server := clickhousetest.Start(t)
	c := openClickHouse(t, optionsFor(server))
	if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, 0, 10)}); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	server.Pause()
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := c.Append(ctx, controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, 10, 10)}); !errors.Is(err, logs.ErrAway) {
				t.Errorf("append: %v", err)
			}
		})
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := c.Lines(ctx, ref("d"), controlplane.Cursor{}, 10, ""); !errors.Is(err, logs.ErrAway) {
				t.Errorf("read: %v", err)
			}
		})
	}
	all.Wait()
	server.Resume()
	eventually(t, "it is written to again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return c.Append(ctx, controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, 10, 10)}) == nil
	})
	got, err := c.Lines(t.Context(), ref("d"), controlplane.Cursor{}, 100, "")
	if err != nil || len(got) != 20 {
		t.Errorf("%d lines, %v", len(got), err)
	}
	eventually(t, "no goroutine is left of what failed", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// TestClickHouseLosesItsTables drops them under a running control plane.
func TestClickHouseLosesItsTables(t *testing.T) {
	server := clickhousetest.Start(t)
	o := optionsFor(server)
	c, behind := openClickHouse(t, o), server.Connect(t)
	for range 2 {
		if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, 0, 10)}); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Lines(t.Context(), ref("d"), controlplane.Cursor{}, 100, ""); err != nil || len(got) != 10 {
			t.Errorf("%d lines, %v", len(got), err)
		}
		if err := behind.Exec(t.Context(), "DROP DATABASE "+o.Database); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFiveControlPlanesMakeTheTablesAtOnce(t *testing.T) {
	server := clickhousetest.Start(t)
	for range 5 {
		o := optionsFor(server)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range 5 {
			c := openClickHouse(t, o)
			all.Go(func() {
				<-begin
				if err := c.Check(t.Context()); err != nil {
					t.Error(err)
				}
				if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, 0, 10)}); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
		if got, err := openClickHouse(t, o).Lines(t.Context(), ref("d"), controlplane.Cursor{}, 100, ""); err != nil || len(got) != 10 {
			t.Errorf("%d lines, %v", len(got), err)
		}
	}
}

// TestClickHouseSaysWhatIsWrong has one clear line for each way in which
// settings may be wrong.
func TestClickHouseSaysWhatIsWrong(t *testing.T) {
	server := clickhousetest.Start(t)
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hanging.Close() })
	speaking, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { speaking.Close() })
	go func() {
		for {
			conn, err := speaking.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program."))
			conn.Close()
		}
	}()
	existing := openClickHouse(t, optionsFor(server))
	if err := existing.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*logs.ClickHouseOptions)
		want   string
		kind   error
	}{
		{"another host", func(o *logs.ClickHouseOptions) { o.Host = "clickhouse.invalid" }, "clickhouse.invalid", logs.ErrAway},
		{"nobody there", func(o *logs.ClickHouseOptions) { o.Port = 1 }, "127.0.0.1:1 can't be reached", logs.ErrAway},
		{"no answer", func(o *logs.ClickHouseOptions) { o.Port = hanging.Addr().(*net.TCPAddr).Port }, "does not answer in time", logs.ErrAway},
		{"another protocol", func(o *logs.ClickHouseOptions) { o.Port = speaking.Addr().(*net.TCPAddr).Port }, "another protocol", logs.ErrAway},
		{"TLS at the port without", func(o *logs.ClickHouseOptions) { o.TLS = trusting(t, server.CAFile) }, "does not speak TLS", logs.ErrAway},
		{"the port of TLS without", func(o *logs.ClickHouseOptions) { o.Port = server.TLSPort }, "another protocol", logs.ErrAway},
		{"a certificate of another CA", func(o *logs.ClickHouseOptions) { o.TLS, o.Port = &tls.Config{}, server.TLSPort }, "is not trusted", logs.ErrTrust},
		{"a certificate of another host", func(o *logs.ClickHouseOptions) {
			o.Host, o.TLS, o.Port = "localhost", trusting(t, server.CAFile), server.TLSPort
		}, "is not trusted", logs.ErrTrust},
		{"a wrong password", func(o *logs.ClickHouseOptions) { o.Password = "not the secret" }, "does not take the user logs", logs.ErrCredentials},
		{"an unknown user", func(o *logs.ClickHouseOptions) { o.Username = "nobody" }, "does not take the user nobody", logs.ErrCredentials},
		{"a user who may not create", func(o *logs.ClickHouseOptions) { o.Username = server.ReadOnly }, "may not write to the database", logs.ErrRights},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := optionsFor(server)
			test.change(&o)
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			err := openClickHouse(t, o).Check(ctx)
			if err == nil {
				t.Fatal("it is taken")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || !errors.Is(err, test.kind) {
				t.Errorf("%v, want %v", err, test.kind)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), server.Password) {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
	for _, o := range []logs.ClickHouseOptions{{Host: "h", Database: "a-b"}, {Host: "h", Database: "a`b"}} {
		if c, err := logs.OpenClickHouse(o); err == nil {
			c.Close()
			t.Errorf("%+v is taken", o)
		}
	}
}

func trusting(t *testing.T, file string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(file)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate", err)
	}
	return &tls.Config{RootCAs: roots}
}

func TestClickHouseOverTLS(t *testing.T) {
	server := clickhousetest.Start(t)
	o := optionsFor(server)
	o.TLS, o.Port = trusting(t, server.CAFile), server.TLSPort
	c := openClickHouse(t, o)
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, 0, 1000)}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Lines(t.Context(), ref("d"), controlplane.Cursor{}, 5000, ""); err != nil || len(got) != 1000 {
		t.Errorf("%d lines, %v", len(got), err)
	}
}

// TestClickHouseThatIsClosedKeepsNobodyWaiting closes the store under appends.
func TestClickHouseThatIsClosedKeepsNobodyWaiting(t *testing.T) {
	o := optionsFor(clickhousetest.Start(t))
	o.Interval = time.Hour
	c := openClickHouse(t, o)
	if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: ref("d"), Lines: numbered(1, 1, 1)}); err == nil {
				t.Error("lines were stored, though it was not time")
			}
		})
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}
