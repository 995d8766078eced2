//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// fleet is the whole platform as real processes on this machine: control planes
// behind a load balancer, edges, and the engines that they share.
type fleet struct {
	t      *testing.T
	s3     *blobtest.S3Server
	bucket blob.S3Options
	pg     *pgtest.Server
	kafka  *kafkatest.Cluster
	click  *clickhousetest.Server
	planes []*node
	edges  []*node
	lb     *balancer
	token  string

	database string // its address
	holder   string // names the first control plane in leases and claims
}

// startFleet starts everything, and makes the first account. More are settings of
// the control planes, made once there is a balancer.
func startFleet(t *testing.T, planes, edges int, more ...func(*fleet) []string) *fleet {
	t.Helper()
	f := &fleet{t: t, pg: pgtest.Start(t), kafka: kafkatest.Start(t, 1), click: clickhousetest.Start(t), s3: blobtest.StartS3(t)}
	f.bucket = f.s3.NewBucket(t)
	f.lb, f.database = startBalancer(t), f.pg.Database(t)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	shared := append(atS3(f.bucket), "METRICS_ADDR=off", "BASE_DOMAIN=localhost")
	control := append(slices.Clone(shared),
		"DATABASE_URL="+f.database, "MASTER_KEY="+base64.StdEncoding.EncodeToString(key),
		"KAFKA_BROKERS="+strings.Join(f.kafka.Plain(), ","),
		"CLICKHOUSE_HOST="+f.click.Host, fmt.Sprint("CLICKHOUSE_PORT=", f.click.Port), "CLICKHOUSE_USERNAME="+f.click.Username, "CLICKHOUSE_PASSWORD="+f.click.Password,
		"PUBLIC_URL="+f.lb.url, "ALLOW_LOCAL_GIT=1", "BUILD_COUNT=1", "DRAIN_NOTICE=1500ms", "DRAIN_TIME=30s",
		"RATE_GENERAL=1000000", "RATE_DEPLOY=1000000", "RATE_LOGS=1000000", "RATE_SENSITIVE=1000000", "RATE_ATTEMPT=1000000", "RATE_CLAIM=1000000")
	for _, settings := range more {
		control = append(control, settings(f)...)
	}
	for n := range planes {
		p := f.node(fmt.Sprint("control plane ", n+1), control, "controlplane", "--port")
		f.planes = append(f.planes, p)
		p.start()
		f.lb.add("http://" + p.address)
		if n == 0 {
			p.answers("/ready")
			f.signUp(p)
			p.eventually("it acts for all", func() bool {
				holders, err := f.query("SELECT DISTINCT holder FROM leases")
				if err == nil && len(holders) == 1 {
					f.holder = holders[0]
				}
				return f.holder != ""
			})
		}
	}
	for n := range edges {
		e := f.node(fmt.Sprint("edge ", n+1), shared, "edge", "--edge-port")
		f.edges = append(f.edges, e)
		e.start()
	}
	for _, p := range f.planes {
		p.answers("/ready")
	}
	for _, e := range f.edges {
		e.answers("/")
	}
	return f
}

// signUp takes the owner's account over at the first control plane, and gets a
// token.
func (f *fleet) signUp(p *node) {
	f.t.Helper()
	code := ""
	p.eventually("it prints the link", func() bool {
		_, code, _ = strings.Cut(setupLine.FindString(p.out.String()), "#code=")
		return code != ""
	})
	cookies := []*http.Cookie{}
	send := func(path string, in, out any) {
		body, err := json.Marshal(in)
		if err != nil {
			f.t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, "http://"+p.address+path, bytes.NewReader(body))
		if err != nil {
			f.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", f.lb.url)
		for _, c := range cookies {
			req.AddCookie(c)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			f.t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode/100 != 2 {
			f.t.Fatalf("%s: %d %s %v", path, res.StatusCode, text, err)
		}
		cookies = res.Cookies()
		if out != nil {
			if err := json.Unmarshal(text, out); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	send("/auth/signup", map[string]string{"email": "ada@example.com", "password": "correct horse battery staple", "name": "Ada", "code": code}, nil)
	var made struct{ Token string }
	send("/tokens", map[string]string{"name": "test", "scope": "admin"}, &made)
	f.token = made.Token
}

// node is one process of the platform, on a port that it keeps.
type node struct {
	t       *testing.T
	name    string
	address string
	dir     string
	env     []string
	args    []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	out    *transcript
}

func (f *fleet) node(name string, env []string, args ...string) *node {
	f.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	dir := f.t.TempDir()
	n := &node{t: f.t, name: name, address: address, dir: dir, out: &transcript{}, args: append(args, port, "--data", filepath.Join(dir, "data"))}
	n.env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "LISTEN=127.0.0.1")
	n.env = append(n.env, env...)
	f.t.Cleanup(func() {
		n.kill()
		if f.t.Failed() {
			f.t.Logf("the log of %s:\n%s", name, n.out.tail(5000))
		}
	})
	return n
}

func (n *node) start() {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	cmd := exec.Command(binary, n.args...)
	cmd.Env = n.env
	cmd.Stdout, cmd.Stderr = n.out, n.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	n.cmd, n.exited = cmd, exited
}

// signal sends one that does not end the process.
func (n *node) signal(s os.Signal) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// kill ends the process as kill -9 does.
func (n *node) kill() { n.end(syscall.SIGKILL) }

// end signals the process and waits until it is gone.
func (n *node) end(signal os.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Signal(signal)
	select {
	case <-n.exited:
	case <-time.After(time.Minute):
		_ = n.cmd.Process.Kill()
		<-n.exited
		n.t.Errorf("%s did not end", n.name)
	}
	n.cmd = nil
}

// answers waits until the process answers: an edge anything.
func (n *node) answers(path string) {
	n.t.Helper()
	n.eventually("it answers", func() bool {
		res, err := http.Get("http://" + n.address + path)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK || strings.HasPrefix(n.name, "edge")
	})
}

func (n *node) eventually(what string, holds func() bool) {
	n.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: never happened: %s\n%s", n.name, what, n.out.tail(4000))
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// balancer does what a load balancer does: it asks each control plane whether
// it is ready, and tries another one where a connection is refused and the
// request may be repeated.
type balancer struct {
	url    string
	server *http.Server
	mu     sync.Mutex
	all    []string
	ready  map[string]bool
	turn   int
	failed atomic.Int64 // answers that it made itself
}

const balancerLook = 200 * time.Millisecond

func startBalancer(t *testing.T) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{url: "http://" + l.Addr().String(), ready: map[string]bool{}}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = "http"
			r.Out.Host = r.In.Host
		},
		Transport: b,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				b.failed.Add(1)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	b.server = &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = b.server.Serve(l) }() // it is closed
	ctx, cancel := context.WithCancel(context.Background())
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		for ctx.Err() == nil {
			b.look(ctx)
			time.Sleep(balancerLook)
		}
	}()
	t.Cleanup(func() { cancel(); <-looking; b.server.Close() })
	return b
}

// listen has the balancer answer at another address of this machine, too, and
// returns its URL there.
func (b *balancer) listen(t *testing.T, host string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.server.Serve(l) }() // it is closed with the other one
	return "http://" + l.Addr().String()
}

func (b *balancer) add(backend string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, backend)
}

func (b *balancer) look(ctx context.Context) {
	b.mu.Lock()
	all := slices.Clone(b.all)
	b.mu.Unlock()
	var looks sync.WaitGroup
	for _, backend := range all {
		looks.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, backend+"/ready?part=database", nil)
			res, err := http.DefaultClient.Do(req)
			ready := err == nil && res.StatusCode == http.StatusOK
			if err == nil {
				res.Body.Close()
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.ready[backend] = ready
		})
	}
	looks.Wait()
}

// next are the control planes to try, in turn; all of them where none is ready.
func (b *balancer) next() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	var out []string
	for i := range b.all {
		if backend := b.all[(b.turn+i)%len(b.all)]; b.ready[backend] {
			out = append(out, backend)
		}
	}
	if len(out) == 0 {
		return slices.Clone(b.all)
	}
	return out
}

// RoundTrip implements [http.RoundTripper].
func (b *balancer) RoundTrip(r *http.Request) (res *http.Response, err error) {
	repeatable := r.Method != http.MethodPost && r.Method != http.MethodPatch && (r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0)
	err = errors.New("there is no control plane")
	for _, backend := range b.next() {
		u, _ := url.Parse(backend)
		r.URL.Host = u.Host
		if res, err = http.DefaultTransport.RoundTrip(r); err == nil {
			return res, nil
		}
		var op *net.OpError
		if !repeatable || !errors.As(err, &op) || op.Op != "dial" {
			return nil, err
		}
	}
	return nil, err
}

// call sends one request to the API, through the balancer.
func (f *fleet) call(method, path string, header map[string]string, in, out any) (status int, err error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.lb.url+path, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode/100 != 2 {
		return res.StatusCode, fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, tail(string(text), 500))
	}
	if out != nil {
		err = json.Unmarshal(text, out)
	}
	return res.StatusCode, err
}

// must repeats a call until it is answered: its caller knows that it may.
func (f *fleet) must(method, path string, header map[string]string, in, out any) {
	f.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		status, err := f.call(method, path, header, in, out)
		if err == nil || f.t.Context().Err() != nil {
			return
		}
		if status/100 == 4 && status != http.StatusTooManyRequests || time.Now().After(deadline) {
			f.t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// cli calls the command line client against the balancer.
func (f *fleet) cli(args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(f.t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "MINI_VERCEL_URL="+f.lb.url, "MINI_VERCEL_TOKEN="+f.token, "XDG_CONFIG_HOME=/nonexistent")
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// visit asks for a page as a visitor does: where an edge refuses the connection,
// or breaks it before the answer, the next one is asked.
func (f *fleet) visit(from int, host, path string) (status int, body string, err error) {
	for i := range f.edges {
		e := f.edges[(from+i)%len(f.edges)]
		status, body, err = visitAt(f.t.Context(), e.address, host, path)
		if err == nil {
			return status, body, nil
		}
	}
	return status, body, err
}

func visitAt(ctx context.Context, edge, host, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+edge+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host, req.Close = host, true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// query reads texts from the database.
func (f *fleet) query(q string) ([]string, error) {
	conn, err := pgx.Connect(f.t.Context(), f.database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(f.t.Context()))
	rows, err := conn.Query(f.t.Context(), q)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

var hostOf = regexp.MustCompile(`^https?://([^/:]+)`)
