// Package pebble runs Let's Encrypt's test CA for tests: Pebble, and a DNS
// server that answers 127.0.0.1 for every name. Both listen on loopback alone.
package pebble

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Options say what a CA is like.
type Options struct {
	// HTTPPort and TLSPort are where it looks for the answers to http-01 and
	// tls-alpn-01 challenges.
	HTTPPort, TLSPort int
	// Validity is how long its certificates last. Default: 90 days.
	Validity time.Duration
	// Blocked are domains that it refuses.
	Blocked []string
}

// CA is a running CA.
type CA struct {
	Directory string // its ACME directory's URL
	RootFile  string // PEM of what its HTTPS is trusted by

	t          *testing.T
	management string
	client     *http.Client
	process    *process
	log        *transcript
	dir        string
	listen     string
}

// Start runs a CA until the test ends. The test is skipped where the programs
// are not installed, and fails where nothing may be skipped.
func Start(t *testing.T, o Options) *CA {
	t.Helper()
	programs := map[string]string{}
	for _, name := range []string{"pebble", "pebble-challtestsrv"} {
		path, err := find(name)
		if err != nil && os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		if err != nil {
			t.Skip(err)
		}
		programs[name] = path
	}
	if o.Validity <= 0 {
		o.Validity = 90 * 24 * time.Hour
	}
	ca := &CA{t: t, dir: t.TempDir(), log: &transcript{}}
	dns := address(t)
	ca.listen, ca.management = address(t), address(t)
	ca.Directory = "https://" + ca.listen + "/dir"
	ca.writeCertificate()
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": ca.listen, "managementListenAddress": ca.management,
		"certificate": filepath.Join(ca.dir, "cert.pem"), "privateKey": filepath.Join(ca.dir, "key.pem"),
		"httpPort": o.HTTPPort, "tlsPort": o.TLSPort, "domainBlocklist": append([]string{}, o.Blocked...),
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(o.Validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ca.dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, &transcript{}, nil, programs["pebble-challtestsrv"], "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
		"-dnsserver", dns, "-management", address(t), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "")
	ca.process = run(t, ca.log, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0"},
		programs["pebble"], "-config", filepath.Join(ca.dir, "config.json"), "-dnsserver", dns)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the CA's log:\n%s", ca.log.tail(6000))
		}
	})
	ca.waitUntilReady()
	return ca
}

// Stop ends the CA without a warning.
func (ca *CA) Stop() { ca.process.kill() }

// Orders returns how many orders there have been.
func (ca *CA) Orders() int { return strings.Count(ca.log.String(), "Added order ") }

// Issued returns how many certificates it has issued.
func (ca *CA) Issued() int { return strings.Count(ca.log.String(), "Issued certificate serial ") }

// Accounts returns how many accounts there are.
func (ca *CA) Accounts() int { return strings.Count(ca.log.String(), " accounts in memory") }

// Status returns what it says of a certificate: Valid, Revoked, or none.
func (ca *CA) Status(serial *big.Int) string {
	ca.t.Helper()
	var status struct{ Status string }
	body := ca.call(http.MethodGet, "/cert-status-by-serial/"+serial.Text(16), nil)
	if err := json.Unmarshal(body, &status); err != nil {
		ca.t.Fatalf("the CA answered %q: %v", body, err)
	}
	return status.Status
}

// RenewNow makes the CA suggest to its clients to renew a certificate now.
func (ca *CA) RenewNow(certificate *x509.Certificate) {
	ca.t.Helper()
	now := time.Now().UTC()
	suggestion, err := json.Marshal(map[string]any{"suggestedWindow": map[string]time.Time{"start": now.Add(-2 * time.Hour), "end": now.Add(-time.Hour)}})
	if err != nil {
		ca.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})), "ARIResponse": string(suggestion),
	})
	if err != nil {
		ca.t.Fatal(err)
	}
	ca.call(http.MethodPost, "/set-renewal-info/", body)
}

// Roots returns what the certificates that it issues are trusted by.
func (ca *CA) Roots() *x509.CertPool {
	ca.t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca.call(http.MethodGet, "/roots/0", nil)) {
		ca.t.Fatal("the CA has no root")
	}
	return pool
}

// Trust returns what its own HTTPS is trusted by.
func (ca *CA) Trust() *x509.CertPool {
	ca.t.Helper()
	pool := x509.NewCertPool()
	b, err := os.ReadFile(ca.RootFile)
	if err != nil || !pool.AppendCertsFromPEM(b) {
		ca.t.Fatalf("%s: %v", ca.RootFile, err)
	}
	return pool
}

func (ca *CA) call(method, path string, body []byte) []byte {
	ca.t.Helper()
	request, err := http.NewRequest(method, "https://"+ca.management+path, bytes.NewReader(body))
	if err != nil {
		ca.t.Fatal(err)
	}
	response, err := ca.client.Do(request)
	if err != nil {
		ca.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		ca.t.Fatalf("%s %s: %s %v %.200s", method, path, response.Status, err, answer)
	}
	return answer
}

func (ca *CA) waitUntilReady() {
	ca.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		response, err := ca.client.Get(ca.Directory)
		if err == nil {
			response.Body.Close()
			return
		}
		select {
		case <-ca.process.exited:
			ca.t.Fatalf("the CA ended:\n%s", ca.log.tail(2000))
		case <-time.After(10 * time.Millisecond): // between two tries
		}
		if time.Now().After(deadline) {
			ca.t.Fatalf("the CA does not answer: %v", err)
		}
	}
}

// writeCertificate makes the certificate of the CA's own HTTPS.
func (ca *CA) writeCertificate() {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "pebble"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		ca.t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	ca.RootFile = filepath.Join(ca.dir, "cert.pem")
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(filepath.Join(ca.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			ca.t.Fatal(err)
		}
	}
	ca.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Trust()}}}
	ca.t.Cleanup(ca.client.CloseIdleConnections)
}

// find looks for a program in the path and where `make tools` puts it.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if path, err := exec.LookPath(filepath.Join(dir, ".cache", "bin", name)); err == nil {
			return path, nil
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not installed: run `make tools`", name)
		}
		dir = filepath.Dir(dir)
	}
}

// address returns a free address of this machine.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// process is a program that runs until the test ends.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

func run(t *testing.T, out io.Writer, env []string, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	// It ends even where this process is killed: with the thread that started it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.exited)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // it ends by a signal
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
}

// transcript keeps what a program printed.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func (t *transcript) tail(n int) string {
	s := t.String()
	return s[max(0, len(s)-n):]
}
