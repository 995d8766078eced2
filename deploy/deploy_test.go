// Package deploy has tests alone: of what is beside them, which nothing else
// here runs.
package deploy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tool finds a program on the PATH or where `make tools` puts it; without it the
// test is skipped, and under CI=true it fails.
func tool(t *testing.T, name, cached string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path, err := filepath.Abs("../.cache/" + cached); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed: `make tools engines` installs it", name)
	}
	t.Skipf("%s is not installed: `make tools engines` installs it", name)
	return ""
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheDockerfileIsClean(t *testing.T) {
	hadolint := tool(t, "hadolint", "hadolint/bin/hadolint")
	if out, err := exec.Command(hadolint, "--no-color", "images/Dockerfile").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	bad := exec.Command(hadolint, "--no-color", "-")
	bad.Stdin = strings.NewReader("FROM debian\nRUN apt-get install curl\n")
	if out, err := bad.CombinedOutput(); err == nil {
		t.Errorf("a bad Dockerfile is clean: %s", out)
	}
}

// environment makes an .env and returns its path.
func environment(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "env")
	if out, err := exec.Command("sh", "compose/secrets.sh", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func compose(t *testing.T, env string) (stderr string, err error) {
	t.Helper()
	cmd := exec.Command(tool(t, "docker-compose", ""), "--env-file", env, "config", "--quiet")
	cmd.Dir = ".."
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Run()
	return out.String(), err
}

func TestComposeStartsWithEverySecretOrNot(t *testing.T) {
	env := environment(t)
	if stderr, err := compose(t, env); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	secrets := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z0-9_]+):\?`).FindAllStringSubmatch(read(t, "../compose.yaml"), -1) {
		secrets[m[1]] = true
	}
	if len(secrets) < 9 {
		t.Errorf("compose.yaml asks for %v", secrets)
	}
	lines := strings.Split(read(t, env), "\n")
	for name := range secrets {
		without := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, name+"=") })
		if len(without) != len(lines)-1 {
			t.Errorf("secrets.sh does not make %s", name)
			continue
		}
		path := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(path, []byte(strings.Join(without, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		if stderr, err := compose(t, path); err == nil || !strings.Contains(stderr, "is not set, make .env by deploy/compose/secrets.sh") {
			t.Errorf("without %s: %v %s", name, err, tail(stderr))
		}
	}
}

func tail(text string) string { return text[max(0, len(text)-200):] }

func TestSecretsAreRandomAndKept(t *testing.T) {
	one, two := environment(t), environment(t)
	info, err := os.Stat(one)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", info.Mode(), err)
	}
	before := read(t, one)
	values := map[string]bool{}
	for line := range strings.Lines(before + read(t, two)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			if len(value) < 43 || values[value] {
				t.Errorf("%s is short or there twice", name)
			}
			values[value] = true
		}
	}
	if !strings.Contains(read(t, "../.gitignore"), "\n/.env\n") { // where it is made by default
		t.Error("git would take .env in")
	}
	out, err := exec.Command("sh", "compose/secrets.sh", one).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is there already") || read(t, one) != before {
		t.Errorf("made anew: %v %s", err, out)
	}
}

// TestToolsAreLocked sees that what the builder's image takes from the npm
// registry is bound to a checksum, and has the lines of Node that have long-term
// support.
func TestToolsAreLocked(t *testing.T) {
	var lock struct {
		Packages map[string]struct{ Version, Integrity string }
	}
	if err := json.Unmarshal([]byte(read(t, "images/tools/package-lock.json")), &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		bundled := strings.Contains(name, "/npm/node_modules/") // in npm's own archive
		if name != "" && !bundled && !strings.HasPrefix(p.Integrity, "sha512-") {
			t.Errorf("%s has no checksum", name)
		}
	}
	for _, name := range []string{"node-20-x64", "node-22-arm64", "node-24-x64", "pnpm-9", "yarn-1", "yarn-4", "bun-1-x64", "corepack", "npm"} {
		version := lock.Packages["node_modules/"+name].Version
		if _, line, ok := strings.Cut(name, "-"); version == "" || ok && !strings.HasPrefix(version, strings.TrimRight(strings.SplitN(line, "-", 2)[0], "-")+".") {
			t.Errorf("%s is %q", name, version)
		}
	}
}

func TestToolsStandSideBySide(t *testing.T) {
	node := tool(t, "node", "")
	root := t.TempDir()
	tools := filepath.Join(root, "lib/tools")
	add := func(name, text string) {
		path := filepath.Join(tools, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	add("package.json", `{"dependencies":{"yarn-1":"","yarn-4":"","corepack":""},"optionalDependencies":{"node-9-x64":"","node-24-x64":"","node-24-arm64":"","bun-1-x64":""}}`)
	for name, version := range map[string]string{"node-9-x64": "9.30.1", "node-24-x64": "24.5.0"} {
		add("node_modules/"+name+"/package.json", `{"version":"`+version+`","bin":{"node":"bin/node"}}`)
		add("node_modules/"+name+"/bin/node", version)
	}
	add("node_modules/bun-1-x64/package.json", `{"version":"1.4.5"}`)
	add("node_modules/bun-1-x64/bin/bun", "1.4.5")
	for name, version := range map[string]string{"yarn-1": "1.22.22", "yarn-4": "4.18.1"} {
		add("node_modules/"+name+"/package.json", `{"version":"`+version+`","bin":{"yarn":"./y.js"}}`)
		add("node_modules/"+name+"/y.js", version)
	}
	add("node_modules/corepack/package.json", `{"version":"0.1.0","bin":{"corepack":"./c.js","yarn":"./c.js"}}`)
	add("node_modules/corepack/c.js", "0.1.0")
	add("node_modules/unasked/package.json", `{"version":"1.0.0"}`)
	if out, err := exec.Command(node, "images/tools/link.mjs", tools, filepath.Join(root, "bin")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, want := range map[string]string{
		"lib/tools/node/9.30.1/bin/node": "9.30.1", "lib/tools/node/24.5.0/bin/node": "24.5.0", "lib/tools/yarn/4.18.1/bin/yarn": "4.18.1",
		"bin/node": "24.5.0", "bin/yarn": "1.22.22", "bin/corepack": "0.1.0", "bin/bun": "1.4.5",
	} {
		if got := read(t, filepath.Join(root, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
		if target, err := os.Readlink(filepath.Join(root, path)); err != nil || filepath.IsAbs(target) {
			t.Errorf("%s leads to %s, %v: the folder could not be moved", path, target, err)
		}
	}
}

// TestVersionsAgree compares what images have with what is tested against.
func TestVersionsAgree(t *testing.T) {
	dockerfile, composed := read(t, "images/Dockerfile"), read(t, "../compose.yaml")
	for _, v := range []struct {
		what, file, pattern string
		in, image           string
	}{
		{"Go", "../go.mod", `(?m)^go (\d+\.\d+)`, dockerfile, "golang:%.\\d+-"},
		{"Caddy", "../go.mod", `caddyserver/caddy/v2 v(\S+)`, composed, "image: caddy:%-alpine"},
		{"the S3 service", "../Makefile", `(?m)^S3_VERSION := (\S+)`, composed, "image: versity/versitygw:%\n"},
		{"Kafka", "../.ci/kafka/pom.xml", `<version>(4\.\d+\.\d+)</version>`, composed, "image: apache/kafka:%\n"},
	} {
		m := regexp.MustCompile(v.pattern).FindStringSubmatch(read(t, v.file))
		if m == nil {
			t.Errorf("%s names no version of %s", v.file, v.what)
			continue
		}
		if image := strings.Replace(v.image, "%", regexp.QuoteMeta(m[1]), 1); !regexp.MustCompile(image).MatchString(v.in) {
			t.Errorf("the image of %s has another version than %s in %s", v.what, m[1], v.file)
		}
	}
	if regexp.MustCompile(`(?m)image: \S+:latest|image: [^:\s]+/[^:\s]+$`).MatchString(composed) {
		t.Error("an image of compose.yaml is not pinned")
	}
}
