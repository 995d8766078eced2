package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what the balancer has
	"go.yaml.in/yaml/v3"
)

// composed is what matters here of a service of compose.yaml.
type composed struct {
	Image       string
	Environment map[string]any
	Networks    []string
}

// readCompose reads compose.yaml with the secrets of an .env.
func readCompose(t *testing.T) (services map[string]composed, secrets map[string]string) {
	t.Helper()
	env := filepath.Join(t.TempDir(), "env")
	if out, err := exec.Command("sh", "../../deploy/compose/secrets.sh", env).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(env)
	if err != nil {
		t.Fatal(err)
	}
	secrets = map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			secrets[name] = value
		}
	}
	raw, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	filled := regexp.MustCompile(`\$\{([A-Z0-9_]+)(:?[-?])([^}]*)\}`).ReplaceAllStringFunc(string(raw), func(found string) string {
		m := regexp.MustCompile(`\$\{([A-Z0-9_]+):?([-?])([^}]*)\}`).FindStringSubmatch(found)
		if value, ok := secrets[m[1]]; ok {
			return value
		}
		if m[2] == "?" {
			t.Errorf("nothing makes %s", m[1])
		}
		return m[3]
	})
	var file struct{ Services map[string]composed }
	if err := yaml.Unmarshal([]byte(filled), &file); err != nil {
		t.Fatal(err)
	}
	return file.Services, secrets
}

var imageEnv = regexp.MustCompile(`([A-Z][A-Z0-9_]+)=(\S+)`)

// imageEnvironments are what the images set, by their targets.
func imageEnvironments(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/images/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	envs, target := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`^FROM .* AS (\w+)`).FindStringSubmatch(line); m != nil {
			target = m[1]
		}
		if strings.HasPrefix(line, "ENV ") {
			envs[target] = append(envs[target], imageEnv.FindAllString(line, -1)...)
		}
	}
	return envs
}

// TestComposeAndImagesSetWhatThereIs loads the settings that a container gets as
// the program in it does: names, values, and what contradicts what.
func TestComposeAndImagesSetWhatThereIs(t *testing.T) {
	services, secrets := readCompose(t)
	envs := imageEnvironments(t)
	var known []string
	for _, setting := range (&Settings{}).fields() {
		known = append(known, setting.Name)
	}
	own := 0
	for name, service := range services {
		target, ours := strings.CutPrefix(service.Image, "mini-vercel-")
		if !ours {
			continue
		}
		own++
		env := slices.Clone(envs[target])
		for variable, value := range service.Environment {
			env = append(env, variable+"="+text(value))
		}
		if len(envs[target]) == 0 || len(service.Environment) == 0 {
			t.Errorf("%s: nothing is set", name)
		}
		for _, entry := range env {
			if variable, _, _ := strings.Cut(entry, "="); !slices.Contains(known, variable) && !strings.HasPrefix(variable, "AWS_") {
				t.Errorf("%s sets %s, which is no setting", name, variable)
			}
		}
		s, err := Load(env)
		if err != nil {
			t.Errorf("%s would not start: %v", name, err)
			continue
		}
		if target == "builder" {
			if state := askParts(t.Context(), []part{s.masterKeyPart()})[0]; !state.OK || s.DatabaseURL == "" || s.KafkaBrokers == "" || s.ClickHouseHost == "" {
				t.Errorf("%s: %+v", name, state)
			}
			if !strings.Contains(s.DatabaseURL, secrets["POSTGRES_PASSWORD"]) || s.R2Uploads != "relayed" {
				t.Errorf("%s has other settings than it should", name)
			}
		}
		if s.MetricsAddr != "0.0.0.0:9464" || s.Listen != "0.0.0.0" {
			t.Errorf("%s can't be reached: %s %s", name, s.Listen, s.MetricsAddr)
		}
	}
	if own != 3 {
		t.Errorf("%d services run this program, want two control planes and an edge", own)
	}
	for target, env := range envs {
		if _, err := Load(env); err != nil {
			t.Errorf("the image %s alone would not start: %v", target, err)
		}
	}
}

func text(value any) string {
	if value == nil {
		return ""
	}
	encoded, _ := yaml.Marshal(value) // of a scalar
	return strings.Trim(strings.TrimSpace(string(encoded)), `"'`)
}

// TestEnginesAreOutOfReach compares who shares a network with whom.
func TestEnginesAreOutOfReach(t *testing.T) {
	services, _ := readCompose(t)
	share := func(a, b string) bool {
		return slices.ContainsFunc(services[a].Networks, func(n string) bool { return slices.Contains(services[b].Networks, n) })
	}
	for _, engine := range []string{"postgres", "kafka", "clickhouse"} {
		for name := range services {
			isControlPlane := strings.HasPrefix(name, "controlplane-")
			isEngine := name == "postgres" || name == "kafka" || name == "clickhouse"
			if got := share(name, engine); got != (isControlPlane || isEngine) {
				t.Errorf("%s reaches %s: %t", name, engine, got)
			}
		}
	}
	for _, edge := range []string{"balancer", "postgres"} {
		if share("edge", edge) {
			t.Errorf("an edge reaches %s", edge)
		}
	}
}

func TestConfigurationsOfCompose(t *testing.T) {
	body, err := os.ReadFile("../../deploy/compose/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(body, map[string]any{"filename": "Caddyfile"})
	if err != nil || len(warnings) > 0 || !bytes.Contains(adapted, []byte(`"controlplane-2:9000"`)) {
		t.Errorf("%v %v\n%s", err, warnings, adapted)
	}

	dir := t.TempDir() // as the container has them
	for _, name := range []string{"compose/prometheus.yml", "prometheus/alerts.yml"} {
		text, err := os.ReadFile(filepath.Join("../../deploy", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	promtool(t, nil, "check", "config", filepath.Join(dir, "prometheus.yml"))

	services, _ := readCompose(t)
	text, err := os.ReadFile("../../deploy/compose/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	for name, service := range services {
		if strings.HasPrefix(service.Image, "mini-vercel-") && !bytes.Contains(text, []byte(name+":9464")) {
			t.Errorf("%s is not scraped", name)
		}
	}
}

// TestTheBucketsOfCompose runs the scripts that make keys and buckets for the
// service of compose.yaml, twice, and asks with each key for what it may. No
// program is given a secret that others see: mv and versitygw note what they are
// called with, and nothing else is there.
func TestTheBucketsOfCompose(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	tools, iam, objects, calls := t.TempDir(), t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "calls")
	mv, err := exec.LookPath("mv")
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"mv": mv, "versitygw": versity(t)} {
		script := "#!/bin/sh\nprintf '%s\\n' \"$*\" >>" + calls + "\nexec " + program + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(tools, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sh := func(script string, args []string, env ...string) error {
		c := exec.Command("/bin/sh", append([]string{"../../deploy/compose/" + script}, args...)...)
		c.Env = append(env, "PATH="+tools)
		out, err := c.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", script, err, out)
		}
		return nil
	}
	users := []string{filepath.Join(iam, "users.json")}
	for _, bad := range []string{"", `a"b`, `a\b`, "a b"} {
		if err := sh("keys.sh", users, "S3_CONTROLPLANE_SECRET=good", "S3_EDGE_SECRET="+bad); err == nil || exists(iam, "users.json") || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, round := range []string{"first", "second"} { // with new secrets
		if err := sh("keys.sh", users, "S3_CONTROLPLANE_SECRET=test-"+round, "S3_EDGE_SECRET=test-edge-"+round); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(users[0]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info, err)
		}
		s3, admin, stop := startVersity(t, iam, objects)
		if err := sh("buckets.sh", nil, "ADMIN_ENDPOINT_URL="+admin, "ADMIN_ACCESS_KEY=root", "ADMIN_SECRET_KEY=test-root"); err != nil {
			t.Fatal(err)
		}
		controlPlane := []string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=" + s3, "R2_ACCESS_KEY_ID=controlplane", "R2_SECRET_ACCESS_KEY=test-" + round}
		edge := []string{"R2_BUCKET_NAME=sites", "R2_ENDPOINT=" + s3, "R2_ACCESS_KEY_ID=edge", "R2_SECRET_ACCESS_KEY=test-edge-" + round, "CERTS_BUCKET_NAME=certificates", "EDGE_SECRET=" + testSecret}
		asked(t, "controlplane", "bucket", controlPlane...).works(t, "/sites", "can be written")
		asked(t, "edge", "bucket", edge...).works(t, "/sites", "can be read")
		asked(t, "edge", "certificates' bucket", edge...).works(t, "/certificates", "can be written")
		asked(t, "controlplane", "bucket", edge...).fails(t, "can't be written", "AccessDenied")
		controlPlane[0] = "R2_BUCKET_NAME=certificates"
		asked(t, "controlplane", "bucket", controlPlane...).fails(t, "access is denied")
		stop()
	}
	said, err := os.ReadFile(calls)
	if err != nil || !strings.Contains(string(said), "create-bucket") || strings.Contains(string(said), "test-") {
		t.Errorf("%v: programs were called with\n%s", err, said)
	}
}

// versity is the program of the S3 service.
func versity(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path
	}
	path, err := filepath.Abs("../../.cache/bin/versitygw")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		const missing = "versitygw is not installed: `make tools engines` installs it"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return path
}

// startVersity starts the service with keys of its own, as compose.yaml does.
func startVersity(t *testing.T, iam, objects string) (s3, admin string, stop func()) {
	t.Helper()
	program := versity(t)
	var addresses []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		l.Close()
	}
	cmd := exec.Command(program, "--iam-dir", iam, "--health", "/healthz", "--quiet", "--port", addresses[0], "--admin-port", addresses[1], "posix", objects)
	cmd.Env = []string{"ROOT_ACCESS_KEY=root", "ROOT_SECRET_KEY=test-root"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the death of its parent is that of a thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	t.Cleanup(stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get("http://" + addresses[0] + "/healthz")
		if err == nil {
			resp.Body.Close()
			return "http://" + addresses[0], "http://" + addresses[1], stop
		}
		if time.Now().After(deadline) {
			t.Fatal(errors.Join(errors.New("versitygw does not answer"), err))
		}
	}
}
