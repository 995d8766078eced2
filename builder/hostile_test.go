package builder

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestAHostileBuildFindsNothing looks for what the builder knows from inside of
// a command.
func TestAHostileBuildFindsNothing(t *testing.T) {
	t.Setenv("SOME_PLATFORM_SECRET", "do-not-show-7531")
	hidden := t.TempDir()
	if err := os.WriteFile(filepath.Join(hidden, "master.key"), []byte("do-not-show-7531"), 0o644); err != nil {
		t.Fatal(err)
	}
	job := gitJob(repository(t, map[string]string{"package.json": script(strings.Join([]string{
		"mkdir dist",
		"env > dist/index.html",
		"cat /proc/*/environ /proc/*/cmdline >> dist/index.html 2>/dev/null || true",
		"cat '" + hidden + "/master.key' >> dist/index.html 2>&1 || true",
		"ls -la /root /proc/*/fd '" + hidden + "' '" + t.TempDir() + "' >> dist/index.html 2>&1 || true",
		"grep -r mva_ /tmp /build /home /run /var >> dist/index.html 2>/dev/null || true",
		"cat /build/.git/config >> dist/index.html",
	}, " && "))}))
	job.Git.Username, job.Git.Password = "ada", "clone-password"
	p := newPlane(t, job)
	r := p.build(func(c *Config) { c.Hidden = []string{hidden} })
	r.succeeds()
	page := r.file("/index.html")
	for _, secret := range []string{"do-not-show-7531", p.job.Token, "mvc_once", "clone-password", p.server.URL, "events"} {
		if strings.Contains(page, secret) {
			t.Errorf("a command has found %q:\n%s", secret, page)
		}
	}
}

func TestAPostinstallScriptReachesNoControlPlane(t *testing.T) {
	url := repository(t, map[string]string{"package.json": `{"name":"x","dependencies":{},"workspaces":[],"scripts":{"build":"mkdir dist && mv found dist/index.html","postinstall":"node reach.js"}}`})
	p := newPlane(t, gitJob(url))
	reach := `const net = require("net"), fs = require("fs");
const s = net.connect(` + strings.TrimPrefix(p.server.URL, "http://127.0.0.1:") + `, "127.0.0.1");
s.on("connect", () => { fs.writeFileSync("found", "reached"); process.exit(); });
s.on("error", e => fs.writeFileSync("found", "nothing: " + e.code));
`
	dir := strings.TrimPrefix(url, "file://")
	writeFiles(t, dir, map[string]string{"reach.js": reach})
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "reach")
	r := p.build()
	r.succeeds()
	if strings.Contains(r.log, "Builds share this machine's network") {
		t.Log("this machine gives builds no network of their own, and says so")
		return
	}
	if got := r.file("/index.html"); !strings.HasPrefix(got, "nothing") {
		t.Errorf("the control plane was %s\n%s", got, r.log)
	}
}

func TestALogChangesNothing(t *testing.T) {
	r := buildScript(t, strings.Join([]string{
		`printf '[{"v":1,"deployment":"dep","attempt":1,"seq":1,"type":"failed","reason":"fooled"}]\n'`,
		`printf 'done\033[2J\033]0;title\007\377\376\n'`,
		`head -c 10000000 /dev/zero | tr '\0' x`,
		`echo`,
		`yes 'the same line again and again, until there are many of them' | head -c 64000000`,
		`mkdir dist && echo fine > dist/index.html`,
	}, " && "))
	r.succeeds()
	if r.reason != "" || len(r.log) > 24<<20 {
		t.Errorf("%q, %d bytes of log", r.reason, len(r.log))
	}
	for _, want := range []string{`stdout| [{"v":1,"deployment":"dep"`, "stdout| done\ufffd\ufffd\n", "x … (line cut at 16384 bytes)", "reached its limit of 16 MiB", "system| Publishing 1 files"} {
		if !strings.Contains(r.log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

func TestAFailureAfterTheLogsLimitSaysWhy(t *testing.T) {
	r := buildScript(t, "yes nothing | head -c 20000000; echo the real reason >&2; exit 4", func(job *site.Job) { job.Limits.LogBytes = 10_000 })
	r.fails("exit code 4")
	if !strings.Contains(r.log, "system| the real reason") || len(r.log) > 40_000 {
		t.Errorf("%d bytes: %.300q", len(r.log), r.log[max(0, len(r.log)-300):])
	}
}

func TestSecretsAreMaskedInLogAndReason(t *testing.T) {
	const secret = "s3cr3t-v4lue/with+signs"
	r := buildScript(t, `echo $KEY; printf '%s' "$KEY" | base64; printf '%s' "$KEY" | cut -c1-10 | tr -d '\n'; sleep 0.2; printf '%s\n' "$KEY" | cut -c11-; echo "plain $PLAIN"; exit 1 # `+secret, func(job *site.Job) {
		job.Env = []site.EnvVar{{Name: "KEY", Value: secret, Secret: true}, {Name: "PLAIN", Value: "not-a-secret"}}
		job.Build.BuildCommand = "npm run build || (echo failed; exit 5) # " + secret
	})
	r.fails("exit code 5", "[secret]")
	for _, never := range []string{secret, strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "=")} {
		if strings.Contains(r.log, never) || strings.Contains(r.reason, never) {
			t.Errorf("%q is shown:\n%s\n%s", never, r.log, r.reason)
		}
	}
	if !strings.Contains(r.log, "stdout| plain not-a-secret") {
		t.Error(r.log)
	}
}

func TestGitURLsThatAreRefused(t *testing.T) {
	for _, url := range []string{"ext::sh -c id", "--upload-pack=touch /tmp/x", "file:///etc", "http://example.com/x", "https://127.0.0.1/x", "https://localhost/x", "https://169.254.169.254/x", "https://10.0.0.1/x"} {
		job := gitJob(url)
		job.Git.AllowLocal = false
		newPlane(t, job).build().fails("the git URL can't be used")
	}
}

func TestTheControlPlaneMayBeAwayForAWhile(t *testing.T) {
	job := gitJob(repository(t, map[string]string{"package.json": script("for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.2; done; mkdir dist; echo hi > dist/index.html")}))
	p := newPlane(t, job)
	gate := newGate(t, p.server.URL)
	p.onEvent = func(e site.Event) {
		if e.Phase == site.PhaseBuild && e.Type == site.EventPhase {
			gate.shutFor(time.Second)
		}
	}
	r := p.build(func(c *Config) { c.URL = gate.url })
	r.succeeds()
	for _, want := range []string{"line 1\n", "line 4\n", "line 8\n"} {
		if strings.Count(r.log, want) != 1 {
			t.Errorf("the log has %q %d times", want, strings.Count(r.log, want))
		}
	}
}
