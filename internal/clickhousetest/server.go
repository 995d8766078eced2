// Package clickhousetest runs a ClickHouse server for tests: on a free port of
// loopback, with a user, a configuration and a data directory of its own.
package clickhousetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Server is a ClickHouse server of a test's own. It ends with the test, and its
// files go with it.
type Server struct {
	Host               string
	Port, TLSPort      int // of the native protocol
	Username, Password string
	CAFile             string // PEM of what its TLS is trusted by

	// ReadOnly is a user who may neither write nor change a setting.
	ReadOnly string

	program   string
	dir       string
	process   *process
	databases atomic.Int64
}

// Start starts a server. Where ClickHouse is not installed the test is skipped;
// under CI=true it fails.
func Start(t testing.TB) *Server {
	t.Helper()
	program := find(t)
	// Another program may take a port in between.
	for attempt := 1; ; attempt++ {
		s := &Server{Host: "127.0.0.1", Username: "logs", Password: `p&ss<'"\word`, ReadOnly: "reader", program: program, dir: newDir(t)}
		s.Port, s.TLSPort = freePort(t), freePort(t)
		if err := s.configure(); err != nil {
			t.Fatalf("configure clickhouse-server: %v", err)
		}
		err := s.run()
		t.Cleanup(s.Kill)
		if err == nil {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the end of ClickHouse's log:\n%s", s.log())
				}
			})
			return s
		}
		if attempt == 3 {
			t.Fatalf("start clickhouse-server: %v\n%s", err, s.log())
		}
	}
}

// Start starts the server again after [Server.Stop] or [Server.Kill], on the
// same port and with what it had kept.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatalf("start clickhouse-server again: %v\n%s", err, s.log())
	}
}

// Stop ends the server as its operator does, and waits for it.
func (s *Server) Stop() { s.process.end(syscall.SIGTERM) }

// Kill ends the server as kill -9 does, and waits for it.
func (s *Server) Kill() { s.process.end(syscall.SIGKILL) }

// Pause stops the server where it is: it accepts connections and answers none,
// until it is resumed.
func (s *Server) Pause() { s.process.signal(syscall.SIGSTOP) }

// Resume lets it go on after [Server.Pause].
func (s *Server) Resume() { s.process.signal(syscall.SIGCONT) }

// NewDatabase returns a name that no database has yet.
func (s *Server) NewDatabase() string { return fmt.Sprintf("logs_%d", s.databases.Add(1)) }

// Connect opens a connection as the server's user, to look behind the scenes.
func (s *Server) Connect(t testing.TB) driver.Conn {
	t.Helper()
	c, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *Server) open() (driver.Conn, error) {
	return clickhouse.Open(&clickhouse.Options{
		Addr:        []string{net.JoinHostPort(s.Host, strconv.Itoa(s.Port))},
		Auth:        clickhouse.Auth{Username: s.Username, Password: s.Password},
		DialTimeout: 5 * time.Second,
	})
}

func (s *Server) run() error {
	p, err := startProcess(s.program, "--config-file="+filepath.Join(s.dir, "config.xml"))
	s.process = p
	if err != nil {
		return err
	}
	c, err := s.open()
	if err != nil {
		return err
	}
	defer c.Close()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) { // between two tries
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := c.Ping(ctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended: %s", p.cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// log returns the end of the server's log.
func (s *Server) log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, " {") { // no stack trace
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// find finds the program on the PATH, or where Debian puts it.
func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"clickhouse-server", "/usr/sbin/clickhouse-server", "/usr/bin/clickhouse-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "clickhouse-server is not installed: `make tools` installs it"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// process is a program that ends even where this one is killed.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

func startProcess(program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Env = []string{"HOME=/nonexistent", "TZ=UTC"}
	// With the thread that started it, which is kept for it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // it was told to end
		}
	}()
	return p, <-started
}

func (p *process) signal(s syscall.Signal) {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(s) // it may have ended
	}
}

func (p *process) end(s syscall.Signal) {
	p.signal(s)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second): // a bound for a hang
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
}

// escape makes text fit for XML.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
