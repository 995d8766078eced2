// Package pgtest runs PostgreSQL for tests: a cluster of a test's own on a free
// port of loopback, with TLS and passwords, that can be killed and started again.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mini-vercel/mini-vercel/internal/testdir"
)

const (
	// User owns the cluster.
	User = "tester"
	// Password is the user's. Its characters need care in an address.
	Password = "s3cret/:@ p%w"
	// CertificateUser signs in by a client certificate alone, over TLS.
	CertificateUser = "bycert"
)

// Server is a PostgreSQL server. It ends with the test, or for the one that
// [Database] uses with [Stop].
type Server struct {
	Port int
	// Dir holds the data, and ca.pem, client.pem and client.key, which belong
	// to CertificateUser.
	Dir string

	bin       string
	owner     *syscall.Credential // nil: this process's
	extra     []string
	process   *process
	databases atomic.Int64
}

// Start starts a server of the test's own. Settings are what a postgresql.conf
// has, as name=value. Where PostgreSQL is not installed the test is skipped;
// under CI=true it fails.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(settings)
	if errors.Is(err, errMissing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(s.Dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

var shared struct {
	sync.Mutex
	server *Server
}

// Database makes an empty database on a server that all tests of this process
// share, and returns its address. A package that uses it calls [Stop] in its
// TestMain.
func Database(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := start(nil)
		if errors.Is(err, errMissing) && os.Getenv("CI") != "true" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return shared.server.Database(t)
}

// Stop ends the server that the tests share.
func Stop() {
	shared.Lock()
	defer shared.Unlock()
	if s := shared.server; s != nil {
		s.Kill()
		_ = os.RemoveAll(s.Dir) // below the system's temporary files
		shared.server = nil
	}
}

var errMissing = errors.New("PostgreSQL is not installed: `apt-get install postgresql` installs it")

// programs finds the directory of the newest PostgreSQL's programs.
func programs() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is valid
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range found {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errMissing
}

func version(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // 0: not a version
	return n
}

func start(settings []string) (s *Server, err error) {
	s = &Server{extra: settings}
	if s.bin, err = programs(); err != nil {
		return nil, err
	}
	dir, err := testdir.Make("", "pgtest")
	if err != nil {
		return nil, err
	}
	s.Dir = dir
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start PostgreSQL: %w", err), os.RemoveAll(dir))
		}
	}()
	if os.Getuid() == 0 { // it refuses to run as root
		if s.owner, err = account("postgres"); err != nil {
			return nil, err
		}
	}
	if err := s.initialize(); err != nil {
		return nil, err
	}
	// Another program may take the port in between.
	for attempt := 1; ; attempt++ {
		if s.Port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.start(); err == nil {
			break
		}
		if attempt == 3 {
			return nil, err
		}
	}
	return s, s.Exec("postgres", "CREATE ROLE "+CertificateUser+" LOGIN SUPERUSER")
}

func account(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// initialize makes the cluster. Its order of text is a language's, not that of
// bytes, as most clusters' is.
func (s *Server) initialize() error {
	if err := s.writeCertificates(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "password"), []byte(Password), 0o600); err != nil {
		return err
	}
	hba := "hostssl all " + CertificateUser + " 127.0.0.1/32 cert\nhost all " + CertificateUser + " 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(s.Dir, "hba.conf"), []byte(hba), 0o600); err != nil {
		return err
	}
	if s.owner != nil {
		err := filepath.WalkDir(s.Dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, int(s.owner.Uid), int(s.owner.Gid)))
		})
		if err != nil {
			return err
		}
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.Dir, "data"), "-U", User, "--pwfile", filepath.Join(s.Dir, "password"),
		"-A", "scram-sha-256", "-E", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en", "--no-sync")
	cmd.Dir, cmd.Env = s.Dir, []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// Start starts the server again, on the same port and data, after [Server.Kill].
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) start() error {
	args := []string{"-D", filepath.Join(s.Dir, "data"), "-p", strconv.Itoa(s.Port)}
	for _, setting := range append([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "hba_file=" + filepath.Join(s.Dir, "hba.conf"),
		"ssl=on", "ssl_cert_file=" + filepath.Join(s.Dir, "server.pem"), "ssl_key_file=" + filepath.Join(s.Dir, "server.key"), "ssl_ca_file=" + filepath.Join(s.Dir, "ca.pem"),
		// Killing it loses nothing by this: only a machine that fails does.
		"fsync=off", "shared_buffers=32MB", "max_connections=200",
	}, s.extra...) {
		args = append(args, "-c", setting)
	}
	p, err := run(filepath.Join(s.bin, "postgres"), args, s.Dir, s.owner)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
			return fmt.Errorf("PostgreSQL ended: %s", p.output.tail())
		default:
		}
		if err = s.Exec("postgres", "SELECT 1"); err == nil {
			s.process = p
			return nil
		}
		if time.Now().After(deadline) {
			p.kill()
			return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, p.output.tail())
		}
	}
}

// Kill ends the server and all its connections, as kill -9 does.
func (s *Server) Kill() {
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Shutdown ends the server as an administrator does who can't wait: connections
// are ended, nothing is lost.
func (s *Server) Shutdown() {
	if s.process != nil {
		s.process.interrupt()
		s.process = nil
	}
}

// URL is the address of a database, without TLS, for the cluster's owner.
func (s *Server) URL(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(User, Password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}).String()
}

// Database makes an empty database, which goes with the test, and returns its
// address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.process == nil {
			return // it goes with the server
		}
		if err := s.Exec("postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.URL(name)
}

// Exec runs statements as the cluster's owner.
func (s *Server) Exec(database, statements string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, statements).ReadAll()
	return err
}

// Name is the name of the database that an address leads to.
func Name(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}
