//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is what `make build` made.
var binary = func() string {
	path, err := filepath.Abs("../bin/mini-vercel")
	if err != nil {
		panic(err)
	}
	return path
}()

// platform is a running `mini-vercel up` on a data directory of its own.
type platform struct {
	t      *testing.T
	data   string // kept across restarts
	config string // XDG_CONFIG_HOME
	env    []string
	port   string // of the control plane; none: a free one

	cmd    *exec.Cmd
	exited chan error
	out    *transcript
	api    string // http://127.0.0.1:PORT
	edge   string // 127.0.0.1:PORT
	setup  string // the link with the one-time code
}

// start runs `up` on free ports and waits until it is ready. It is stopped when
// the test ends.
func start(t *testing.T, env ...string) *platform {
	t.Helper()
	p := &platform{t: t, data: filepath.Join(t.TempDir(), "data"), config: t.TempDir(), env: env}
	p.up()
	t.Cleanup(func() {
		p.interrupt()
		if t.Failed() {
			t.Logf("the log of up:\n%s", p.out.tail(6000))
		}
	})
	return p
}

var (
	addressLine = regexp.MustCompile(`http://localhost:(\d+)(/\S*)?`)
	setupLine   = regexp.MustCompile(`http://\S+/dashboard/signup#code=\S+`)
	edgeLine    = regexp.MustCompile(`http://[^\s/]*\.localhost:(\d+)`)
)

func (p *platform) up() {
	p.t.Helper()
	p.out = &transcript{}
	p.cmd = p.command("up", "--data", p.data, "--port", cmp.Or(p.port, "0"), "--edge-port", "0")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan error) { exited <- cmd.Wait() }(p.cmd, p.exited)
	p.eventually("up prints its addresses", func() bool {
		text := p.out.String()
		api, edge := addressLine.FindStringSubmatch(text), edgeLine.FindStringSubmatch(text)
		if api == nil || edge == nil {
			return false
		}
		p.api, p.edge, p.setup = "http://127.0.0.1:"+api[1], "127.0.0.1:"+edge[1], setupLine.FindString(text)
		response, err := http.Get(p.api + "/ready?part=database&part=logs&part=bucket") // a test may start Kafka later
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// command is a call of the binary with the platform's environment.
func (p *platform) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+p.config, "METRICS_ADDR=off")
	cmd.Env = append(cmd.Env, p.env...)
	return cmd
}

// interrupt stops `up` as Ctrl-C does and returns how long that took.
func (p *platform) interrupt() time.Duration {
	if p.cmd == nil {
		return 0
	}
	begin := time.Now()
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
		p.t.Errorf("up did not stop within 20 s of Ctrl-C:\n%s", p.out.tail(3000))
	}
	p.cmd = nil
	return time.Since(begin)
}

// kill ends `up` without a warning.
func (p *platform) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
	p.cmd = nil
}

// run calls the CLI and returns what it printed and its exit code.
func (p *platform) run(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// result is what `deploy --json` prints.
type result struct {
	ID, ProjectID, Project, Status, URL, DeploymentURL, Error string
	Files, UploadedBlobs                                      int
}

// deploy calls `deploy --json -y` and expects it to end with code.
func (p *platform) deploy(code int, args ...string) result {
	p.t.Helper()
	stdout, stderr, got := p.run(append([]string{"deploy", "--json", "-y"}, args...)...)
	if got != code {
		p.t.Fatalf("deploy %v ended with %d instead of %d\n%s\n%s", args, got, code, stdout, tail(stderr, 4000))
	}
	var r result
	if code != 2 {
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			p.t.Fatalf("deploy --json printed %q: %v", stdout, err)
		}
	}
	return r
}

// call sends a request to the API with the CLI's own token.
func (p *platform) call(method, path string, body, into any) int {
	p.t.Helper()
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		reader = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.api+path, reader)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+p.token())
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			p.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
		}
	}
	return response.StatusCode
}

func (p *platform) token() string {
	var credentials struct{ Token string }
	b, err := os.ReadFile(filepath.Join(p.config, "mini-vercel", "credentials.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(b, &credentials); err != nil {
		p.t.Fatal(err)
	}
	return credentials.Token
}

// deployment is what tests look at of GET /deployments/{id}.
type deployment struct {
	ID, Status, Reason, Phase, ProjectID string
	Attempt                              int
}

func (p *platform) deployment(id string) deployment {
	p.t.Helper()
	var d deployment
	if code := p.call(http.MethodGet, "/deployments/"+id, nil, &d); code != http.StatusOK {
		p.t.Fatalf("GET /deployments/%s: %d", id, code)
	}
	return d
}

// get asks the edge for a page of a host or of an address that deploy printed.
func (p *platform) get(address, path string) (status int, body string) {
	p.t.Helper()
	host := strings.TrimPrefix(address, "http://")
	host, _, _ = strings.Cut(host, "/")
	client := &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, p.edge)
		}},
	}
	response, err := client.Get("http://" + host + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// serves waits until the edge answers that body.
func (p *platform) serves(address, path, want string) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("%s%s answers %q", address, path, want), func() bool {
		_, body := p.get(address, path)
		return strings.TrimSpace(body) == want
	})
}

func (p *platform) eventually(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			p.t.Fatalf("never happened: %s\nthe log of up:\n%s", what, p.out.tail(4000))
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// repository makes a git repository with one commit of the files, and returns
// its directory and its URL.
func repository(t *testing.T, files map[string]string) (dir, url string) {
	t.Helper()
	dir = folder(t, files)
	git(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, "first")
	return dir, "file://" + dir
}

func commit(t *testing.T, dir, message string) {
	t.Helper()
	git(t, dir, "add", "-A")
	git(t, dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-qm", message)
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// script is a package.json whose build runs a shell command.
func script(build string) map[string]string {
	p, err := json.Marshal(map[string]any{"name": "x", "version": "1.0.0", "scripts": map[string]string{"build": build}})
	if err != nil {
		panic(err)
	}
	return map[string]string{
		"package.json":      string(p),
		"package-lock.json": `{"name":"x","version":"1.0.0","lockfileVersion":3,"packages":{}}`,
	}
}

// transcript keeps what a process printed.
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

func (t *transcript) tail(n int) string { return tail(t.String(), n) }

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// processes returns the command lines that contain text.
func processes(t *testing.T, text string) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		line := strings.ReplaceAll(string(b), "\x00", " ")
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}
