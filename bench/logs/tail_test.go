package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
)

// The build prints when it prints, in microseconds since 1970: some lines at
// once, every so many milliseconds.
const printer = `
const lines = %d, atOnce = %d, every = %d
let n = 0
const timer = setInterval(() => {
  for (let i = 0; i < atOnce && n < lines; i++, n++) {
    console.log('printed at ' + Math.round((performance.timeOrigin + performance.now()) * 1000) + ', and as long as lines often are: '.padEnd(60, '.'))
  }
  if (n === lines) {
    clearInterval(timer)
    require('fs').mkdirSync('dist', { recursive: true })
    require('fs').writeFileSync('dist/index.html', 'done')
  }
}, every)
`

// BenchmarkTail measures from a line's printing by a build's command until it has
// come to a reader of the log's stream: through the builder, the API, the log
// stream and back. One operation is one line, each 10 ms after the one before.
func BenchmarkTail(b *testing.B) {
	binary := build(b)
	for _, with := range []string{"clickhouse", "kafka"} {
		b.Run(with, func(b *testing.B) {
			env := clickHouseEnv(b)
			if with == "kafka" {
				env = append(env, "KAFKA_BROKERS="+strings.Join(kafkatest.Start(b, 1).Plain(), ","))
			}
			p := up(b, binary, env)
			b.ResetTimer()
			took := p.follow(b, p.deploy(b, fmt.Sprintf(printer, b.N, 1, 10)))
			b.StopTimer()
			if len(took) != b.N {
				b.Fatalf("%d lines of %d came", len(took), b.N)
			}
			slices.Sort(took)
			for name, at := range map[string]int{"p50-ms": len(took) / 2, "p99-ms": len(took) * 99 / 100, "most-ms": len(took) - 1} {
				b.ReportMetric(float64(took[at].Microseconds())/1000, name)
			}
		})
	}
}

// BenchmarkHistory reads a log of 100,000 lines to its end, as the dashboard does.
func BenchmarkHistory(b *testing.B) {
	const lines = 100_000
	p := up(b, build(b), clickHouseEnv(b))
	id := p.deploy(b, fmt.Sprintf(printer, lines, 1000, 20))
	if n := len(p.follow(b, id)); n != lines {
		b.Fatalf("%d lines of %d came", n, lines)
	}
	for b.Loop() {
		if n := len(p.follow(b, id)); n != lines {
			b.Fatalf("%d lines of %d came", n, lines)
		}
	}
	b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "lines/s")
}

func build(b *testing.B) (binary string) {
	b.Helper()
	binary = filepath.Join(b.TempDir(), "mini-vercel")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/mini-vercel").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func clickHouseEnv(b *testing.B) []string {
	s := clickhousetest.Start(b)
	return []string{"CLICKHOUSE_HOST=" + s.Host, "CLICKHOUSE_PORT=" + strconv.Itoa(s.Port), "CLICKHOUSE_USERNAME=" + s.Username, "CLICKHOUSE_PASSWORD=" + s.Password}
}

// deploy begins to build a repository whose build runs a script.
func (p *platform) deploy(b *testing.B, script string) (id string) {
	b.Helper()
	repository := b.TempDir()
	for name, content := range map[string]string{
		"package.json": `{"name": "printer", "private": true, "scripts": {"build": "node build.js"}}`,
		"build.js":     script,
	} {
		if err := os.WriteFile(filepath.Join(repository, name), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "printer"}} {
		if out, err := exec.Command("git", append([]string{"-C", repository}, args...)...).CombinedOutput(); err != nil {
			b.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	var project, deployment struct{ ID string }
	p.call(b, "/projects", map[string]any{"name": "printer", "gitURL": "file://" + repository}, &project)
	p.call(b, "/deploy", map[string]any{"projectId": project.ID}, &deployment)
	return deployment.ID
}

// platform is a running `mini-vercel up`.
type platform struct {
	URL, Token string
}

func up(b *testing.B, binary string, env []string) *platform {
	b.Helper()
	config := b.TempDir()
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "up", "--data", filepath.Join(b.TempDir(), "data"), "--port", "0", "--edge-port", "0")
	cmd.Env = append(append(os.Environ(), "XDG_CONFIG_HOME="+config, "METRICS_ADDR=off", "RATE_GENERAL=100000"), env...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was interrupted
		if b.Failed() {
			b.Logf("the log of up:\n%s", log.String())
		}
	})
	p := &platform{}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // between two looks
		text, err := os.ReadFile(filepath.Join(config, "mini-vercel", "credentials.json"))
		if err == nil && json.Unmarshal(text, p) == nil {
			if r, err := http.Get(p.URL + "/ready"); err == nil {
				r.Body.Close()
				if r.StatusCode == http.StatusOK {
					return p
				}
			}
		}
		if time.Now().After(deadline) {
			b.Fatal("up is not ready within a minute")
		}
	}
}

func (p *platform) do(b *testing.B, method, path string, body io.Reader) *http.Response {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), method, p.URL+path, body)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+p.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	if response.StatusCode >= 300 {
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		b.Fatalf("%s %s: %s: %s %v", method, path, response.Status, text, err)
	}
	return response
}

func (p *platform) call(b *testing.B, path string, in, out any) {
	b.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		b.Fatal(err)
	}
	response := p.do(b, http.MethodPost, path, bytes.NewReader(body))
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		b.Fatal(err)
	}
}

// follow reads a deployment's log until its end, and returns how long each line
// was under way.
func (p *platform) follow(b *testing.B, id string) (took []time.Duration) {
	b.Helper()
	response := p.do(b, http.MethodGet, "/deployments/"+id+"/logs/stream", nil)
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	for {
		text, err := reader.ReadString('\n')
		now := time.Now()
		if errors.Is(err, io.EOF) || strings.HasPrefix(text, "event: end") {
			return took
		}
		if err != nil {
			b.Fatal(err)
		}
		_, after, found := strings.Cut(text, `"printed at `)
		if !found {
			continue
		}
		digits, _, _ := strings.Cut(after, ",")
		micros, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, now.Sub(time.UnixMicro(micros)))
	}
}
