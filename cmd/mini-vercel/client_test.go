package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// asCommand has the test's own binary run a command line, for a test that kills it.
const asCommand = "MINI_VERCEL_TEST_AS_COMMAND"

// TestMain lets the test's own binary be what the runner starts for a build.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "build" || os.Getenv(asCommand) != "") {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	code := m.Run()
	kafkatest.Stop()
	os.Exit(code)
}

// ran is what one command line did.
type ran struct {
	code           int
	stdout, stderr string
}

func command(t *testing.T, args ...string) ran {
	t.Helper()
	return commandWith(t, t.Context(), "", args...)
}

func commandWith(t *testing.T, ctx context.Context, stdin string, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr)
	r := ran{code, stdout.String(), stderr.String()}
	if t.Failed() || testing.Verbose() {
		t.Logf("mini-vercel %s → %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r
}

// isolate keeps a test's credentials apart from those of the person who runs it.
func isolate(t *testing.T) string {
	t.Helper()
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv(urlVariable, "")
	t.Setenv(tokenVariable, "")
	return filepath.Join(config, "mini-vercel", "credentials.json")
}

// lockedBuffer is written by the servers' goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startUp runs `up` in this process until the test ends, with credentials that
// the commands find.
func startUp(t *testing.T) (setupCode string) {
	t.Helper()
	isolate(t)
	setupCode, _ = startUpOn(t, t.TempDir())
	return setupCode
}

// startUpOn is startUp on a data directory, with a way to end it before the test
// does.
func startUpOn(t *testing.T, data string) (setupCode string, stop func()) {
	t.Helper()
	t.Setenv("METRICS_ADDR", "off")
	t.Setenv("BUILD_SANDBOX", "none")
	ctx, cancel := context.WithCancel(context.Background())
	out := &lockedBuffer{}
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"up", "--data", data, "--port", "0", "--edge-port", "0"}, strings.NewReader(""), out, out)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("up ended with %d:\n%s", code, out)
		}
	})
	t.Cleanup(stop)
	deadline := time.After(60 * time.Second)
	for !strings.Contains(out.String(), "deploy ./my-site") {
		select {
		case code := <-done:
			done <- code
			t.Fatalf("up ended with %d:\n%s", code, out)
		case <-deadline:
			t.Fatalf("up does not start:\n%s", out)
		case <-time.After(10 * time.Millisecond):
		}
	}
	_, rest, _ := strings.Cut(out.String(), "#code=")
	setupCode, _, _ = strings.Cut(rest, "\n")
	return setupCode, stop
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if d.More() {
		t.Fatalf("more than one JSON value: %q", text)
	}
	return v
}

func TestTheMainJob(t *testing.T) {
	startUp(t)
	dir := write(t, filepath.Join(t.TempDir(), "my-site"), map[string]string{"index.html": "<h1>one</h1>", "a.css": "body{}", "b.txt": "b"})

	first := command(t, "deploy", dir, "--json", "--message", "hello")
	one := decode[outcome](t, first.stdout)
	if first.code != 0 || one.Status != "READY" || one.Files != 3 || one.UploadedBlobs != 3 || one.Project != "my-site" || one.Error != "" ||
		!strings.HasPrefix(one.URL, "http://my-site.localhost:") || !strings.HasPrefix(one.DeploymentURL, "http://"+one.ID[:8]+"--my-site.localhost:") {
		t.Fatalf("first deploy, which is production: %+v", one)
	}
	if strings.Contains(first.stderr, "\x1b") || !strings.Contains(first.stderr, "Made project my-site") || !strings.Contains(first.stderr, "Uploaded 3 blobs") {
		t.Errorf("stderr %q", first.stderr)
	}

	// Neither --prod nor the first: a preview. Stdout is the address alone.
	write(t, dir, map[string]string{"index.html": "<h1>two</h1>"})
	preview := command(t, "deploy", dir, "-y")
	address := strings.TrimSuffix(preview.stdout, "\n")
	if preview.code != 0 || !strings.HasPrefix(address, "http://") || strings.ContainsAny(address, " \n") || address == one.URL {
		t.Fatalf("preview: %+v", preview)
	}

	prod := command(t, "deploy", dir, "--prod", "--json", "-y", "--project", "my-site")
	two := decode[outcome](t, prod.stdout)
	if prod.code != 0 || two.URL != one.URL || two.UploadedBlobs != 0 || two.ProjectID != one.ProjectID {
		t.Fatalf("redeploy of the same files: %+v", two)
	}

	t.Run("projects", func(t *testing.T) {
		if r := command(t, "projects"); r.code != 0 || !strings.Contains(r.stdout, "my-site") || !strings.Contains(r.stdout, one.URL) {
			t.Errorf("%+v", r)
		}
		if p := decode[[]json.RawMessage](t, command(t, "projects", "--json").stdout); len(p) != 1 {
			t.Errorf("%d projects", len(p))
		}
	})
	t.Run("list", func(t *testing.T) {
		r := command(t, "list", "--project", "my-site")
		if r.code != 0 || strings.Count(r.stdout, "\n") != 4 || !strings.Contains(r.stdout, two.ID[:8]) || !strings.Contains(r.stdout, "READY (live)") {
			t.Errorf("%+v", r)
		}
		if r := command(t, "list", "--limit", "2"); strings.Count(r.stdout, "\n") != 3 {
			t.Errorf("--limit 2: %q", r.stdout)
		}
	})
	t.Run("rollback and resume", func(t *testing.T) {
		if live := liveDeployment(t, "my-site"); live != two.ID {
			t.Fatalf("live is %s", live)
		}
		r := command(t, "rollback", "--project", "my-site", "-y") // the production one before, not the preview between
		if r.code != 0 || strings.TrimSpace(r.stdout) != one.URL || liveDeployment(t, "my-site") != one.ID {
			t.Errorf("%+v", r)
		}
		if r := command(t, "rollback", "--project", "my-site", "-y"); r.code != 1 || !strings.Contains(r.stderr, "no production deployment before") {
			t.Errorf("nothing is older: %+v", r)
		}
		if r := command(t, "resume", "my-site"); r.code != 0 || liveDeployment(t, "my-site") != two.ID {
			t.Errorf("resume: %+v", r)
		}
		if r := command(t, "promote", one.ID[:8], "-y", "--json"); r.code != 0 || decode[outcome](t, r.stdout).ID != one.ID || liveDeployment(t, "my-site") != one.ID {
			t.Errorf("promote: %+v", r)
		}
		if r := command(t, "rollback", two.ID, "--project", "my-site"); r.code != 0 || liveDeployment(t, "my-site") != two.ID {
			t.Errorf("rollback to one by its id: %+v", r)
		}
	})
	t.Run("manifest", func(t *testing.T) {
		r := command(t, "manifest", one.ID[:8])
		files := decode[struct {
			Deployment string
			Source     site.Source
			Files      []controlplane.FileInfo
		}](t, r.stdout)
		if r.code != 0 || len(files.Files) != 3 || files.Deployment != one.ID {
			t.Errorf("%+v", r)
		}
	})
	t.Run("errors", func(t *testing.T) {
		for args, want := range map[string]string{
			"promote 00000000 -y":                       "there is no deployment 00000000",
			"cancel " + one.ID:                          "READY",
			"list --project nobody":                     `there is no project "nobody"`,
			"logs 12345678-0000-4000-8000-000000000000": "no deployment",
		} {
			if r := command(t, strings.Fields(args)...); r.code != 1 || !strings.Contains(r.stderr, want) || r.stdout != "" {
				t.Errorf("%s: %+v", args, r)
			}
		}
	})
}

func liveDeployment(t *testing.T, project string) string {
	t.Helper()
	for _, p := range decode[[]struct {
		Name       string
		Production struct{ ID string }
	}](t, loose(t, command(t, "projects", "--json").stdout)) {
		if p.Name == project {
			return p.Production.ID
		}
	}
	t.Fatalf("there is no project %s", project)
	return ""
}

// loose drops the fields of projects that a test does not look at.
func loose(t *testing.T, text string) string {
	t.Helper()
	var all []struct {
		Name       string         `json:"name"`
		Production map[string]any `json:"production"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for _, p := range all {
		out = append(out, map[string]any{"name": p.Name, "production": map[string]any{"id": p.Production["id"]}})
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b.c"}, args...)...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func TestDeployARepositoryAndSources(t *testing.T) {
	startUp(t)
	sources := map[string]string{
		"package.json": `{"name":"x","version":"1.0.0","scripts":{"build":"mkdir -p dist && printf '\\033[2J\\033[31mred\\033[0m\\n' && ls -a && cp page.html dist/index.html"}}`,
		"page.html":    "<h1>built</h1>",
	}
	repo := write(t, filepath.Join(t.TempDir(), "app"), sources)
	git(t, repo, "init", "-q", "-b", "main")
	git(t, repo, "add", ".")
	git(t, repo, "commit", "-qm", "first")

	r := command(t, "deploy", "--git", "file://"+repo, "--branch", "main", "--json", "-y")
	built := decode[outcome](t, r.stdout)
	if r.code != 0 || built.Status != "READY" || built.Project != "app" || built.Files != 1 || built.UploadedBlobs != 1 || built.URL == "" {
		t.Fatalf("git: %+v", r)
	}
	if strings.Contains(r.stderr, "\x1b") || !strings.Contains(r.stderr, "red") || !strings.Contains(r.stderr, "── build") {
		t.Errorf("the log on stderr: %q", r.stderr)
	}
	if l := command(t, "logs", built.ID[:8]); l.code != 0 || !strings.Contains(l.stdout, "red") || strings.Contains(l.stdout, "\x1b") {
		t.Errorf("logs: %+v", l)
	}
	if l := command(t, "logs", built.ID, "--follow"); l.code != 0 || !strings.Contains(l.stdout, "red") {
		t.Errorf("logs --follow of one that has ended: %+v", l)
	}
	if r := command(t, "deploy", "--git", "file://"+repo+"2", "--project", "app", "-y"); r.code != 1 || !strings.Contains(r.stderr, "belongs to the repository") {
		t.Errorf("another repository: %+v", r)
	}

	write(t, repo, map[string]string{".env": "SECRET=1", ".gitignore": "ignored/\n", "ignored/x": "x", "node_modules/y/z.js": "z"})
	s := command(t, "deploy", repo, "--build", "--project", "sources", "--json", "-y")
	packed := decode[outcome](t, s.stdout)
	if s.code != 0 || packed.Status != "READY" || packed.Files != 1 {
		t.Fatalf("--build: %+v", s)
	}
	if !strings.Contains(s.stderr, "page.html") || strings.Contains(s.stderr, ".env") || strings.Contains(s.stderr, "\nignored") {
		t.Errorf("what was sent: %s", s.stderr)
	}

	write(t, repo, map[string]string{"package.json": `{"scripts":{"build":"echo broken; exit 7"}}`})
	f := command(t, "deploy", repo, "--build", "--project", "sources", "--json", "-y")
	failed := decode[outcome](t, f.stdout)
	if f.code != 1 || failed.Status != "FAIL" || !strings.Contains(failed.Error, "exit code 7") || !strings.Contains(f.stderr, "broken") {
		t.Errorf("a build that fails: %+v", f)
	}
	again := command(t, "retry", failed.ID[:8], "--json")
	retried := decode[outcome](t, again.stdout)
	if again.code != 1 || retried.Status != "FAIL" || retried.ID == failed.ID {
		t.Errorf("retry: %+v", again)
	}
}

func TestAnInterruptCancelsTheDeployment(t *testing.T) {
	startUp(t)
	dir := write(t, t.TempDir(), map[string]string{"package.json": `{"scripts":{"build":"echo it-runs; sleep 300"}}`})
	ctx, interrupt := context.WithCancel(t.Context())
	out := &lockedBuffer{}
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"deploy", dir, "--build", "--project", "slow", "-y"}, strings.NewReader(""), out, out)
	}()
	deadline := time.After(2 * time.Minute)
	for !strings.Contains(out.String(), "\nit-runs") {
		select {
		case code := <-done:
			t.Fatalf("it ended with %d: %s", code, out)
		case <-deadline:
			t.Fatalf("it does not run: %s", out)
		case <-time.After(10 * time.Millisecond):
		}
	}
	interrupt()
	if code := <-done; code != 1 || !strings.Contains(out.String(), "the deployment is canceled") {
		t.Errorf("code %d: %s", code, out)
	}
	if r := command(t, "list", "--project", "slow"); !strings.Contains(r.stdout, "CANCELED") {
		t.Errorf("%+v", r)
	}
}

// interruptAt ends a command as soon as it says something.
type interruptAt struct {
	lockedBuffer
	word      string
	interrupt func()
}

func (i *interruptAt) Write(p []byte) (int, error) {
	n, err := i.lockedBuffer.Write(p)
	if strings.Contains(i.String(), i.word) {
		i.interrupt()
	}
	return n, err
}

func TestAnInterruptTakesAnUploadBack(t *testing.T) {
	startUp(t)
	dir := write(t, t.TempDir(), map[string]string{"index.html": "x", "page.html": strings.Repeat("text ", 100_000)})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout bytes.Buffer
	stderr := &interruptAt{word: "Read 2 files", interrupt: interrupt}
	code := run(ctx, []string{"deploy", dir, "--project", "half", "--json"}, strings.NewReader(""), &stdout, stderr)
	if o := decode[outcome](t, stdout.String()); code != 1 || o.Status != "CANCELED" || o.Error == "" || !strings.Contains(stderr.String(), "the deployment is canceled") {
		t.Errorf("code %d: %+v\n%s", code, o, stderr)
	}
}

func TestDeployChecksLimitsFirst(t *testing.T) {
	isolate(t)
	t.Setenv(urlVariable, "http://127.0.0.1:1") // nobody is asked
	t.Setenv(tokenVariable, "mv_x")
	dir := write(t, t.TempDir(), map[string]string{"index.html": "x", "b.txt": "b"})
	t.Setenv("MAX_FILES", "1")
	if r := command(t, "deploy", dir); r.code != 1 || !strings.Contains(r.stderr, "MAX_FILES") {
		t.Errorf("%+v", r)
	}
	t.Setenv("MAX_FILES", "many")
	if r := command(t, "deploy", dir); r.code != 2 || !strings.Contains(r.stderr, "MAX_FILES=many") {
		t.Errorf("%+v", r)
	}
}

func TestWrongUseIsCode2(t *testing.T) {
	isolate(t)
	sources := write(t, t.TempDir(), map[string]string{"package.json": "{}"})
	withOutput := write(t, t.TempDir(), map[string]string{"package.json": "{}", "out/index.html": "x", "dist/readme.txt": "no page"})
	file := filepath.Join(sources, "package.json")
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"nothing to deploy":           {[]string{"deploy"}, "Name a folder"},
		"a folder and a repository":   {[]string{"deploy", sources, "--git", "x"}, "not both"},
		"two folders":                 {[]string{"deploy", "a", "b"}, "--help"},
		"no such folder":              {[]string{"deploy", "nothing-here"}, "there is no folder nothing-here"},
		"a file":                      {[]string{"deploy", file}, "is a file"},
		"sources":                     {[]string{"deploy", sources}, "--build"},
		"sources with an output":      {[]string{"deploy", withOutput}, filepath.Join(withOutput, "out")},
		"a branch without --git":      {[]string{"deploy", sources, "--branch", "x"}, "--branch belongs to --git"},
		"an unknown flag":             {[]string{"deploy", "--nope"}, "--nope; see `mini-vercel deploy --help`"},
		"an unknown command":          {[]string{"nope"}, "See `mini-vercel --help`"},
		"one that is alike":           {[]string{"domain"}, "domains"},
		"an unknown subcommand":       {[]string{"access", "nope"}, "see `mini-vercel access --help`"},
		"rollback of what":            {[]string{"rollback"}, "--project"},
		"promote of nothing":          {[]string{"promote"}, "0 arguments are too few or too many: use it as `mini-vercel promote DEPLOYMENT`; see `mini-vercel promote --help`"},
		"a flag without its value":    {[]string{"list", "--limit"}, "limit"},
		"a limit that is none":        {[]string{"list", "--limit", "0"}, "--limit"},
		"two ways to sign in":         {[]string{"login", "--token-stdin", "--email", "a@b.c"}, "not both"},
		"a manifest that isn't there": {[]string{"manifest", "./x"}, "there is no file ./x"},
	} {
		t.Run(name, func(t *testing.T) {
			r := command(t, row.args...)
			if r.code != 2 || r.stdout != "" || !strings.Contains(r.stderr, row.want) {
				t.Errorf("%+v, want code 2 and %q", r, row.want)
			}
		})
	}
	r := command(t, "deploy", sources, "--json")
	if o := decode[outcome](t, r.stdout); r.code != 2 || !strings.Contains(o.Error, "--build") {
		t.Errorf("--json: %+v", r)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"deploy", "--help"}, {"--version"}, {}} {
		if r := command(t, args...); r.code != 0 || r.stdout == "" || r.stderr != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

func TestWithoutCredentialsCommandsSayHowToSignIn(t *testing.T) {
	isolate(t)
	for _, args := range [][]string{{"projects"}, {"list"}, {"logs", "12345678"}, {"deploy", "--git", "https://example.com/x.git"}} {
		if r := command(t, args...); r.code != 1 || !strings.Contains(r.stderr, "mini-vercel login") || r.stdout != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
}
