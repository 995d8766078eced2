package builder

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// repository makes a git repository with one commit and returns its URL.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, files)
	git(t, dir, "init", "-q", "-b", "main")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "First commit\n\nwith a body")
	return "file://" + dir
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// script is a package.json with a build script and nothing to install.
func script(build string) string {
	return fmt.Sprintf(`{"name":"site","scripts":{"build":%q}}`, build)
}

func gitJob(url string) *site.Job {
	return &site.Job{Git: &site.GitSource{URL: url, Branch: "main", AllowLocal: true}}
}

func buildScript(t *testing.T, command string, change ...func(*site.Job)) result {
	t.Helper()
	job := gitJob(repository(t, map[string]string{"package.json": script(command)}))
	p := newPlane(t, job)
	for _, c := range change {
		c(job)
	}
	return p.build()
}

func TestARepositoryBecomesADeployment(t *testing.T) {
	url := repository(t, map[string]string{
		"package.json":     script("mkdir dist && cp src.html dist/index.html && echo $GREETING > dist/env.txt && env | sort >> dist/env.txt"),
		"src.html":         "<h1>hello</h1>",
		"mini-vercel.json": `{"notFound":"none"}`,
	})
	job := gitJob(url)
	job.Env = []site.EnvVar{{Name: "GREETING", Value: "hi there"}}
	p := newPlane(t, job)
	r := p.build()
	r.succeeds()
	if got := r.file("/index.html"); got != "<h1>hello</h1>" {
		t.Error(got)
	}
	env := r.file("/env.txt")
	for _, want := range []string{"hi there\n", "CI=1", "MINI_VERCEL=1", "MINI_VERCEL_GIT_BRANCH=main", "MINI_VERCEL_GIT_COMMIT_SHA="} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment lacks %q:\n%s", want, env)
		}
	}
	for _, never := range []string{"mva_", "mvc_", p.server.URL, "MINI_VERCEL_CLAIM", "GOPATH"} {
		if strings.Contains(env, never) {
			t.Errorf("the environment has %q:\n%s", never, env)
		}
	}
	if r.phases != "clone detect install build process upload publish " {
		t.Errorf("phases: %s", r.phases)
	}
	source := p.manifest.Meta.Source
	if source.Repository != url || source.Branch != "main" || len(source.Commit) != 40 || source.Author != "Ada" || !strings.HasPrefix(source.Message, "First commit\n\nwith") || source.Framework != "npm" || source.BuiltAt.IsZero() {
		t.Errorf("%+v", source)
	}
	if p.manifest.Meta.NotFound != site.NotFoundNone {
		t.Errorf("mini-vercel.json was not read: %+v", p.manifest.Meta)
	}
	if !strings.Contains(r.log, "system| $ npm run build") {
		t.Errorf("the log:\n%s", r.log)
	}
}

func TestLinesOfRulesThatAreWrongAreInTheLog(t *testing.T) {
	p := newPlane(t, gitJob(repository(t, map[string]string{"package.json": script("mkdir dist && touch dist/index.html && echo /wrong > dist/_redirects")})))
	p.warnings = []site.Problem{{File: "_redirects", Line: 1, Reason: "it has one part"}, {File: "_headers", Line: 7, Reason: "no"}}
	r := p.build()
	r.succeeds()
	if p.manifest.Meta.Rules.Redirects != "/wrong\n" {
		t.Errorf("the rules were handed in as %+v", p.manifest.Meta.Rules)
	}
	if strings.Count(r.log, "system| Warning: _redirects:1: it has one part\n") != 1 || !strings.Contains(r.log, "system| Warning: _headers:7: no\n") {
		t.Errorf("the log:\n%s", r.log)
	}
}

func TestStrictRulesFailABuild(t *testing.T) {
	p := newPlane(t, gitJob(repository(t, map[string]string{"package.json": script("mkdir dist && touch dist/index.html")})))
	p.refusal = "_redirects:3: it has one part."
	p.build().fails("_redirects:3: it has one part")
}

func TestWhyABuildFails(t *testing.T) {
	for _, c := range []struct {
		name, command string
		want          []string
	}{
		{"exit code", "echo why >&2; exit 3", []string{"The build command `npm run build` ended with exit code 3", "end of the log"}},
		{"missing program", "no-such-program", []string{"exit code 127", "not found"}},
		{"aborted", "sh -c 'kill -ABRT $$'", []string{"exit code 134", "4096 MiB"}},
		{"no output", "true", []string{"no output", "looked for dist, build", "there is: package.json"}},
		{"empty output", "mkdir dist", []string{"no output"}},
		{"link out of the output", "mkdir dist && echo hi > dist/index.html && ln -s /etc/passwd dist/passwd.txt", []string{"passwd.txt"}},
		{"output is a link out of the sources", "mkdir /tmp/x && echo hi > /tmp/x/index.html && ln -s /tmp/x dist", []string{"no output"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := buildScript(t, c.command)
			r.fails(c.want...)
			if c.name == "exit code" && !strings.Contains(r.log, "stderr| why") {
				t.Error(r.log)
			}
			if strings.Contains(r.reason, r.p.server.URL) || strings.Contains(r.reason, t.TempDir()) {
				t.Errorf("the reason names the machine: %s", r.reason)
			}
		})
	}
}

func TestAPackageManagerThatIsNotThere(t *testing.T) {
	job := gitJob(repository(t, map[string]string{"package.json": script("true")}))
	job.Build.BuildCommand = "pnpm build"
	newPlane(t, job).build().fails("pnpm is not installed", `"packageManager": "pnpm@9.15.9"`)
}

func TestEveryModeOfIsolationBuilds(t *testing.T) {
	for _, mode := range []string{"bubblewrap", "user", "none"} {
		if mode == "user" && os.Getuid() != 0 {
			continue // only root can
		}
		t.Run(mode, func(t *testing.T) {
			url := repository(t, map[string]string{"package.json": script("mkdir dist && id -u > dist/index.html && echo $HOME >> dist/index.html")})
			// A directory of the machine that other users can reach, as a runner's is.
			workspace, err := os.MkdirTemp("", "builder-test-") //nolint:usetesting // whose folders are closed to other users
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(workspace) })
			r := newPlane(t, gitJob(url)).build(func(c *Config) { c.Sandbox, c.Workspace = mode, workspace })
			r.succeeds()
			if warned := strings.Contains(r.log, "Warning: Builds run as a user") || strings.Contains(r.log, "Warning: Builds are not isolated"); warned != (mode != "bubblewrap") {
				t.Errorf("the log:\n%s", r.log)
			}
			if root := strings.HasPrefix(r.file("/index.html"), "0\n"); root && mode != "none" {
				t.Error("the commands are root's")
			}
		})
	}
}
