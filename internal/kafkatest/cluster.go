package kafkatest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/testdir"
)

// The users that a cluster knows, by PLAIN and SCRAM. Limited may do nothing
// until it is given ACLs.
const (
	Username        = "mini-vercel"
	Password        = "broker-password-1"
	LimitedUsername = "limited"
	LimitedPassword = "broker-password-2"
)

// Cluster is one broker or several. Each listens four times: without anything,
// with SASL, with TLS, and with both.
type Cluster struct {
	Brokers []*Broker
	CAFile  string // PEM of what its TLS is trusted by

	java, jars, dir, id string
}

// Start runs a cluster of so many brokers until the test ends. The test is
// skipped where Kafka is not installed, and fails where nothing may be skipped.
func Start(t testing.TB, brokers int) *Cluster {
	t.Helper()
	java, jars := find(t)
	c, err := start(java, jars, t.TempDir(), brokers)
	if err != nil {
		t.Fatalf("start Kafka: %v", err)
	}
	t.Cleanup(func() {
		for _, b := range c.Brokers {
			b.Kill()
			if t.Failed() {
				t.Logf("broker %d's log:\n%s", b.id, b.Log())
			}
		}
	})
	return c
}

var shared struct {
	sync.Mutex
	cluster *Cluster
	err     error
}

// Shared returns the one broker that all tests of a process share; each takes a
// topic of its own. It ends with [Stop].
func Shared(t testing.TB) *Cluster {
	t.Helper()
	java, jars := find(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		var dir string
		if dir, shared.err = testdir.Make("", "kafkatest"); shared.err == nil {
			if shared.cluster, shared.err = start(java, jars, dir, 1); shared.err != nil {
				os.RemoveAll(dir)
			}
		}
	}
	if shared.err != nil {
		t.Fatalf("start Kafka: %v", shared.err)
	}
	return shared.cluster
}

// Stop ends what is shared; a package's TestMain calls it after all tests.
func Stop() {
	shared.Lock()
	defer shared.Unlock()
	if c := shared.cluster; c != nil {
		for _, b := range c.Brokers {
			b.Kill()
		}
		os.RemoveAll(c.dir)
		shared.cluster = nil
	}
}

// Plain returns the addresses of the brokers without SASL and TLS.
func (c *Cluster) Plain() []string { return c.addresses(listenPlain) }

// SASL returns those with SASL, TLS those with TLS, and SASLTLS those with both.
func (c *Cluster) SASL() []string { return c.addresses(listenSASL) }

// TLS returns the addresses with TLS alone.
func (c *Cluster) TLS() []string { return c.addresses(listenTLS) }

// SASLTLS returns the addresses with SASL over TLS.
func (c *Cluster) SASLTLS() []string { return c.addresses(listenSASLTLS) }

func (c *Cluster) addresses(listener int) (all []string) {
	for _, b := range c.Brokers {
		all = append(all, b.address(listener))
	}
	return all
}

// find looks for Java, and for Kafka where `make engines` puts it.
func find(t testing.TB) (java, jars string) {
	t.Helper()
	java, err := exec.LookPath("java")
	missing := "java is not installed: `make tools` installs it"
	if err == nil {
		missing = "Kafka is not installed: `make engines` installs it"
		for dir, err := os.Getwd(); err == nil && dir != "/"; dir = filepath.Dir(dir) {
			jars := filepath.Join(dir, ".cache", "kafka")
			if found, _ := filepath.Glob(filepath.Join(jars, "kafka_*.jar")); len(found) > 0 {
				return java, jars
			}
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return "", ""
}

func start(java, jars, dir string, brokers int) (c *Cluster, err error) {
	// Another program may take a port in between.
	for attempt := range 3 {
		c, err = startIn(java, jars, filepath.Join(dir, fmt.Sprint(attempt)), brokers)
		if err == nil {
			c.dir = dir
			return c, nil
		}
	}
	return nil, err
}

func startIn(java, jars, dir string, brokers int) (*Cluster, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	c := &Cluster{java: java, jars: jars, dir: dir, id: base64.RawURLEncoding.EncodeToString(id[:]), CAFile: filepath.Join(dir, "ca.pem")}
	keys, err := newKeys(c.CAFile)
	if err != nil {
		return nil, err
	}
	var voters []string
	for i := range brokers {
		b := &Broker{cluster: c, id: i + 1, dir: filepath.Join(dir, fmt.Sprint("broker-", i+1))}
		if b.ports, err = freePorts(listeners); err != nil {
			return nil, err
		}
		c.Brokers = append(c.Brokers, b)
		voters = append(voters, fmt.Sprintf("%d@%s", b.id, b.address(listenController)))
	}
	for _, b := range c.Brokers {
		if err := b.format(strings.Join(voters, ","), keys); err != nil {
			return nil, err
		}
	}
	for _, b := range c.Brokers { // a quorum needs more than the first
		if err := b.launch(); err != nil {
			return nil, err
		}
	}
	for _, b := range c.Brokers {
		if err := b.await(); err != nil {
			for _, b := range c.Brokers {
				b.Kill()
			}
			return nil, err
		}
	}
	return c, nil
}

func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all are held until the last is found
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
