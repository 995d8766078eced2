package builder

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// stops runs a build that never ends by itself, lets something happen once its
// command runs, and asserts that it leaves quickly and nothing behind.
func stops(t *testing.T, happen func(p *plane, cancel context.CancelFunc)) {
	t.Helper()
	p := newPlane(t, gitJob(repository(t, map[string]string{"package.json": script("echo running; (sleep 3033 &) ; sleep 3033")})))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var happened time.Time
	p.onEvent = func(e site.Event) {
		for _, line := range e.Lines {
			if line.Text == "running" {
				happened = time.Now()
				happen(p, cancel)
			}
		}
	}
	workspace := t.TempDir()
	code := Run(ctx, Config{URL: p.server.URL, Claim: "mvc_once", Workspace: workspace})
	p.mu.Lock()
	defer p.mu.Unlock()
	if code != ExitOver || happened.IsZero() || time.Since(happened) > 10*time.Second {
		t.Errorf("exit code %d after %v", code, time.Since(happened))
	}
	for _, e := range p.events {
		if e.Type == site.EventFailed {
			t.Errorf("it failed, too: %s", e.Reason)
		}
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range commands {
		if b, _ := os.ReadFile(name); strings.Contains(string(b), "sleep\x003033") {
			t.Errorf("%s still runs", name)
		}
	}
	if _, err := os.Stat(workspace + "/build.sandbox"); err == nil {
		t.Error("the commands' home was left behind")
	}
}

func TestACanceledBuildStops(t *testing.T) {
	stops(t, func(p *plane, _ context.CancelFunc) { p.canceled = true })
}

func TestABuildWithAVoidTokenStops(t *testing.T) {
	stops(t, func(p *plane, _ context.CancelFunc) { p.published = true }) // any later call is refused
}

func TestASignalStopsTheBuild(t *testing.T) {
	stops(t, func(*plane, context.CancelFunc) { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM) })
}

func TestTheContextStopsTheBuild(t *testing.T) {
	stops(t, func(_ *plane, cancel context.CancelFunc) { cancel() })
}

func TestAClaimWorksOnce(t *testing.T) {
	p := newPlane(t, gitJob("file:///nowhere"))
	if r := p.build(); r.code != ExitFailed {
		t.Fatalf("%d", r.code)
	}
	if r := p.build(); r.code != ExitOver {
		t.Errorf("the second builder ended with %d", r.code)
	}
	p.server.Close()
	if r := p.build(); r.code != ExitBroken {
		t.Errorf("without a control plane: %d", r.code)
	}
}

func TestPhasesHaveTimeLimits(t *testing.T) {
	r := buildScript(t, "echo begun; sleep 60", func(job *site.Job) { job.Limits.BuildTime = 1500 * time.Millisecond })
	r.fails("The build took longer than its limit of 1.5s")
	if !strings.Contains(r.log, "stdout| begun") {
		t.Error(r.log)
	}
}

func TestABuildThatNeedsTooMuchMemory(t *testing.T) {
	r := buildScript(t, `node -e 'const a = []; for (;;) a.push(Buffer.alloc(16 << 20, 1))'`, func(job *site.Job) { job.Limits.MemoryBytes = 512 << 20 })
	if strings.Contains(r.log, "no memory control group can be made here") {
		r.fails("exit code") // the process alone knows why
		return
	}
	r.fails("out of memory: the build used more than 512 MiB")
}

func TestWithoutAWorkspaceOneIsMadeAndRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p := newPlane(t, gitJob(repository(t, map[string]string{"index.html": "hi"})))
	p.build(func(c *Config) { c.Workspace = "" }).succeeds()
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}

func TestTheEnvironmentIsTaken(t *testing.T) {
	for name, value := range map[string]string{"MINI_VERCEL_URL": "http://x", "MINI_VERCEL_CLAIM": "mvc_x", "MINI_VERCEL_WORKSPACE": "/w", "BUILD_SANDBOX": "none", "BUILD_HIDDEN": "/a:/b"} {
		t.Setenv(name, value)
	}
	c := FromEnviron()
	if c.URL != "http://x" || c.Claim != "mvc_x" || c.Workspace != "/w" || c.Sandbox != "none" || len(c.Hidden) != 2 {
		t.Errorf("%+v", c)
	}
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "MINI_VERCEL_") || strings.HasPrefix(entry, "BUILD_") {
			t.Error(entry)
		}
	}
}

func TestAnArchiveIsBuilt(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range map[string]string{"my-site/package.json": script("mkdir dist && cp page.html dist/index.html"), "my-site/page.html": "from an archive"} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p := newPlane(t, &site.Job{Archive: &site.URL{Method: "GET", URL: "/archive"}})
	p.archive = b.Bytes()
	r := p.build()
	r.succeeds()
	if got := r.file("/index.html"); got != "from an archive" {
		t.Error(got)
	}
	p = newPlane(t, &site.Job{Archive: &site.URL{Method: "GET", URL: "/archive"}})
	p.archive = []byte("no archive")
	p.build().fails("neither a .tar.gz")
}

func TestADetection(t *testing.T) {
	url := repository(t, map[string]string{"package.json": `{"scripts":{"build":"vite build"},"devDependencies":{"vite":"8"}}`, "package-lock.json": "{}"})
	git(t, strings.TrimPrefix(url, "file://"), "branch", "preview")
	job := gitJob(url)
	job.Kind, job.Git.Branch = site.JobDetect, ""
	p := newPlane(t, job)
	r := p.build()
	if r.code != ExitDone || p.published || r.phases != "clone detect " {
		t.Fatalf("%d %q %s", r.code, r.reason, r.phases)
	}
	var found *site.Detection
	for _, e := range p.events {
		if e.Type == site.EventDetected {
			found = e.Detected
		}
	}
	if found == nil || found.Framework != "vite" || found.InstallCommand != "npm ci" || found.BuildCommand != "npm run build" || found.OutputDirectory != "dist" ||
		found.DefaultBranch != "main" || len(found.Branches) != 2 || len(found.Commit) != 40 || !strings.HasPrefix(found.Message, "First commit") {
		t.Errorf("%+v", found)
	}
	job = gitJob("file:///nowhere")
	job.Kind = site.JobDetect
	newPlane(t, job).build().fails("no git repository at file:///nowhere")
}

func TestAMonorepoIsBuiltInItsPackage(t *testing.T) {
	job := gitJob(repository(t, map[string]string{
		"package.json":          `{"private":true,"workspaces":["apps/*"]}`,
		"tools/say":             "#!/bin/sh\necho said\n",
		"apps/web/package.json": script("mkdir -p ../../out/web && pwd > ../../out/web/index.html && say >> ../../out/web/index.html"),
	}))
	job.Build = site.BuildSettings{RootDirectory: "apps/web", OutputDirectory: "../../out/web", InstallCommand: "mkdir -p node_modules/.bin && cp tools/say node_modules/.bin/ && chmod +x node_modules/.bin/say"}
	r := newPlane(t, job).build()
	r.succeeds()
	if got := r.file("/index.html"); !strings.Contains(got, "/apps/web\nsaid\n") {
		t.Error(got)
	}
}
