//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAFolderGoesLiveAndComesBack(t *testing.T) {
	p := start(t)
	files := map[string]string{"index.html": "one", "app.css": "body{}", "404.html": "nothing here"}
	for i := range 200 {
		files[fmt.Sprintf("docs/%d.html", i)] = fmt.Sprintf("page %d", i)
	}
	dir := folder(t, files)

	stdout, stderr, code := p.run("deploy", dir, "--project", "folder", "-y")
	if code != 0 || strings.TrimSpace(stdout) != "http://folder.localhost:"+portOf(p.edge) {
		t.Fatalf("deploy printed %q, exit code %d\n%s", stdout, code, stderr)
	}
	first := p.deploy(0, dir, "--project", "folder", "--prod")
	if first.Status != "READY" || first.Files != len(files) || first.UploadedBlobs != 0 {
		t.Fatalf("the same folder again: %+v", first)
	}
	p.serves(first.URL, "/", "one")
	if status, body := p.get(first.URL, "/docs/7"); status != http.StatusOK || body != "page 7" {
		t.Fatalf("/docs/7: %d %q", status, body)
	}
	if status, body := p.get(first.URL, "/missing"); status != http.StatusNotFound || body != "nothing here" {
		t.Fatalf("/missing: %d %q", status, body)
	}

	write(t, dir, "index.html", "two")
	second := p.deploy(0, dir, "--project", "folder", "--prod", "--message", "second")
	if second.UploadedBlobs != 1 {
		t.Fatalf("one changed file uploaded %d blobs", second.UploadedBlobs)
	}
	p.serves(second.URL, "/", "two")
	p.serves(first.DeploymentURL, "/", "one")

	preview := p.deploy(0, dir, "--project", "folder")
	if preview.URL == second.URL {
		t.Fatalf("without --prod a second deployment went to production: %+v", preview)
	}

	if _, stderr, code := p.run("rollback", first.ID, "--project", "folder", "-y"); code != 0 {
		t.Fatalf("rollback: %d %s", code, stderr)
	}
	p.serves(first.URL, "/", "one")
	write(t, dir, "index.html", "three")
	pinned := p.deploy(0, dir, "--project", "folder", "--prod")
	p.serves(pinned.DeploymentURL, "/", "three")
	p.serves(first.URL, "/", "one") // pinned by the rollback
	if _, stderr, code := p.run("resume", "folder"); code != 0 {
		t.Fatalf("resume: %d %s", code, stderr)
	}
	p.serves(first.URL, "/", "three")
}

func TestUsageErrorsEndWithTwo(t *testing.T) {
	p := start(t)
	p.deploy(2, "/does/not/exist")
	p.deploy(2)
	sources := folder(t, script("mkdir dist && echo hi > dist/index.html"))
	_, stderr, code := p.run("deploy", sources, "-y")
	if code != 2 || !strings.Contains(stderr, "--build") {
		t.Fatalf("a folder of sources: %d %s", code, stderr)
	}
	built := p.deploy(0, sources, "--build", "--project", "from-sources")
	p.serves(built.URL, "/", "hi")
}

func TestASecondUpOnTheSameDataSaysSo(t *testing.T) {
	p := start(t)
	out, err := p.command("up", "--data", p.data, "--port", "0", "--edge-port", "0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), p.data) || strings.Count(strings.TrimSpace(string(out)), "\n") > 2 {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestAViteProject builds the React template from a git repository.
func TestAViteProject(t *testing.T) {
	dir := viteProject(t)
	p := start(t)
	r := p.deploy(0, "--git", "file://"+dir, "--branch", "main", "--project", "vite")
	if r.Status != "READY" {
		t.Fatalf("%+v", r)
	}
	_, page := p.get(r.URL, "/")
	if !strings.Contains(page, `<div id="root">`) || !strings.Contains(page, "/assets/index-") {
		t.Fatalf("the page: %s", page)
	}
	if status, _ := p.get(r.URL, "/some/route"); status != http.StatusOK {
		t.Errorf("a route of the app: %d", status)
	}
	if status, _ := p.get(r.URL, "/assets/missing-12345678.js"); status != http.StatusNotFound {
		t.Errorf("a missing script: %d", status)
	}
	stdout, stderr, code := p.run("logs", r.ID)
	if code != 0 || !strings.Contains(stdout, "vite build") {
		t.Errorf("logs: %d %s %s", code, stdout, stderr)
	}
}

// viteProject is a git repository that holds Vite's React template.
func viteProject(t *testing.T) string {
	t.Helper()
	parent := t.TempDir()
	dir := filepath.Join(parent, "app")
	run(t, parent, "node_modules/.bin/create-vite", "app", "--template", "react-ts", "--no-interactive")
	// A linter the build does not need, whose optional packages are not on every
	// registry's mirror at once: npm ci then refuses the lock file.
	run(t, dir, "npm", "pkg", "delete", "devDependencies.oxlint")
	run(t, dir, "npm", "install", "--no-audit", "--no-fund")
	git(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, "the template")
	return dir
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	if strings.Contains(name, "/") {
		name, _ = filepath.Abs(name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func TestABuildThatFailsSaysWhy(t *testing.T) {
	p := start(t)
	_, url := repository(t, script("echo about to fail && exit 7"))
	r := p.deploy(1, "--git", url, "--branch", "main", "--project", "failing")
	if r.Status != "FAIL" || !strings.Contains(r.Error, "7") || !strings.Contains(r.Error, "npm run build") {
		t.Fatalf("%+v", r)
	}
	stdout, _, _ := p.run("logs", r.ID)
	if !strings.Contains(stdout, "about to fail") {
		t.Fatalf("logs: %s", stdout)
	}
	if status, _ := p.get("failing.localhost", "/"); status != http.StatusNotFound {
		t.Fatalf("the host of a project that never was READY: %d", status)
	}
}

func TestACanceledBuildLeavesNothingBehind(t *testing.T) {
	p := start(t)
	marker := fmt.Sprintf("98765.%d", os.Getpid())
	_, url := repository(t, script("echo building && sleep "+marker))
	id := p.begin(url, "cancelled")
	p.eventually("the build runs", func() bool { return len(processes(t, "sleep "+marker)) > 0 })
	if _, stderr, code := p.run("cancel", id); code != 0 {
		t.Fatalf("cancel: %s", stderr)
	}
	p.eventually("the deployment is canceled", func() bool { return p.deployment(id).Status == "CANCELED" })
	p.nothingLeft(marker)
}

func TestABuildSurvivesKill9(t *testing.T) {
	p := start(t)
	marker := fmt.Sprintf("87654.%d", os.Getpid())
	_, url := repository(t, script("sleep "+marker))
	id := p.begin(url, "killed")
	p.eventually("the build runs", func() bool { return len(processes(t, "sleep "+marker)) > 0 })
	p.kill()
	p.eventually("its processes end with it", func() bool { return len(processes(t, marker)) == 0 })
	p.up()
	p.eventually("a second attempt runs", func() bool {
		return p.deployment(id).Attempt == 2 && len(processes(t, "sleep "+marker)) > 0
	})
	if _, stderr, code := p.run("cancel", id); code != 0 {
		t.Fatalf("cancel: %s", stderr)
	}
	p.nothingLeft(marker)
}

func TestCtrlCPutsBuildsBackInTheQueue(t *testing.T) {
	p := start(t)
	marker := fmt.Sprintf("76543.%d", os.Getpid())
	_, url := repository(t, script("sleep "+marker))
	id := p.begin(url, "drained")
	p.eventually("the build runs", func() bool { return len(processes(t, "sleep "+marker)) > 0 })
	if took := p.interrupt(); took > 10*time.Second {
		t.Errorf("Ctrl-C took %v", took)
	}
	if left := processes(t, marker); len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
	p.up()
	p.eventually("it runs again", func() bool {
		d := p.deployment(id)
		return d.Status == "IN_PROGRESS" && len(processes(t, "sleep "+marker)) > 0
	})
	if _, stderr, code := p.run("cancel", id); code != 0 {
		t.Fatalf("cancel: %s", stderr)
	}
}

// begin starts a git deployment without waiting for it.
func (p *platform) begin(url, project string) string {
	p.t.Helper()
	var created struct{ ID string }
	if code := p.call(http.MethodPost, "/projects", map[string]any{"name": project, "gitURL": url, "productionBranch": "main"}, &created); code/100 != 2 {
		p.t.Fatalf("POST /projects: %d", code)
	}
	var d deployment
	if code := p.call(http.MethodPost, "/deploy", map[string]any{"projectId": created.ID, "branch": "main"}, &d); code != http.StatusAccepted {
		p.t.Fatalf("POST /deploy: %d", code)
	}
	return d.ID
}

// nothingLeft waits until no process of a build and no directory of it is left.
func (p *platform) nothingLeft(marker string) {
	p.t.Helper()
	p.eventually("no process of the build is left", func() bool { return len(processes(p.t, marker)) == 0 })
	p.eventually("no directory of the build is left", func() bool {
		left, err := filepath.Glob(filepath.Join(p.data, "builds", "*"))
		return err == nil && len(left) == 0
	})
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
