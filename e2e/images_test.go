//go:build e2e

package e2e

import (
	"debug/elf"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestImagesOfEdgeAndControlPlane builds the two images that consist of the
// program alone, around the program that was built here, and runs them as a
// fleet would: read-only, without rights, as nobody in particular.
func TestImagesOfEdgeAndControlPlane(t *testing.T) {
	c := newContainers(t)
	for _, image := range []string{"edge", "controlplane"} {
		c.build(image)
	}

	// What `up` has deployed is served by an edge.
	p := start(t)
	site := p.deploy(0, folder(t, map[string]string{"index.html": "from a container"}), "--project", "boxed", "--prod")
	p.serves(site.URL, "/", "from a container")
	p.interrupt()
	bucket := filepath.Join(p.data, "bucket")
	give(t, bucket)
	data := t.TempDir()
	give(t, data)
	_, port, _ := strings.Cut(freeAddress(t), ":")
	edge, out := c.run("edge", "-v", data+":/data", "-v", bucket+":/data/bucket", "-e", "EDGE_PORT="+port)
	atEdge := &platform{t: t, edge: "127.0.0.1:" + port, out: out}
	atEdge.eventually("the edge answers", func() bool {
		conn, err := net.Dial("tcp", atEdge.edge)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	atEdge.serves(site.URL, "/", "from a container")
	c.healthy(edge, "edge")

	// A control plane starts on a volume that is made for it, and answers.
	_, port, _ = strings.Cut(freeAddress(t), ":")
	controlPlane, out := c.run("controlplane", "-v", "empty:/data", "-e", "PORT="+port, "-e", "BUILD_SANDBOX=none")
	atControlPlane := &platform{t: t, out: out}
	atControlPlane.eventually("the control plane answers", func() bool {
		response, err := http.Get("http://127.0.0.1:" + port + "/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	c.healthy(controlPlane, "controlplane")
	_, port, _ = strings.Cut(freeAddress(t), ":")
	if out, err := c.podman("exec", "--env", "EDGE_PORT="+port, controlPlane, "/usr/local/bin/mini-vercel", "health", "edge").CombinedOutput(); err == nil {
		t.Errorf("there is no edge, and yet it lives: %s", out)
	}

	// Nothing can be written but what is mounted.
	for _, image := range []string{"edge", "controlplane"} {
		out, err := c.podman(append(c.arguments(), "-v", data+":/data", "-e", "DATA_DIR=/usr/local/bin", c.image(image), "config", "check", image, "--json")...).Output()
		var parts []struct {
			Name, Error string
			OK          bool
		}
		if err == nil || json.Unmarshal(out, &parts) != nil || len(parts) == 0 {
			t.Fatalf("%s: %v\n%s", image, err, out)
		}
		i := slices.IndexFunc(parts, func(p struct {
			Name, Error string
			OK          bool
		}) bool {
			return p.Name == "data directory"
		})
		if i < 0 || parts[i].OK || !strings.Contains(parts[i].Error, "user 10001 can't write to /usr/local/bin") {
			t.Errorf("%s: %s", image, out)
		}
	}
}

// containers are images and containers of a test's own, in a folder of its own.
type containers struct {
	t   *testing.T
	dir string
}

func newContainers(t *testing.T) *containers {
	t.Helper()
	for _, name := range []string{"buildah", "podman", "runc"} {
		program(t, name)
	}
	if os.Geteuid() != 0 {
		const missing = "containers are run by root here"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Fatalf("%s is not static: it needs %v, %v. Build it by `make build`", binary, libraries, err)
	}
	dir, err := os.MkdirTemp("", "mv-") //nolint:usetesting // podman takes no long path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c := &containers{t: t, dir: dir}
	root := c.path("context/bin/rootfs")
	run(t, ".", "mkdir", "-p", root+"/system/usr/local/bin")
	run(t, ".", "cp", binary, root+"/system/usr/local/bin/")
	run(t, "..", "sh", "deploy/images/rootfs.sh", root)
	run(t, "..", "cp", ".dockerignore", c.path("context"))
	return c
}

func (c *containers) path(name string) string { return filepath.Join(c.dir, name) }

func (c *containers) image(target string) string { return "localhost/mini-vercel-" + target }

// command is buildah or podman on the test's own storage.
func (c *containers) command(name string, args ...string) *exec.Cmd {
	storage := []string{"--root", c.path("storage"), "--runroot", c.path("running"), "--storage-driver", "vfs"}
	cmd := exec.Command(name, append(storage, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+c.dir, "TMPDIR="+c.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (c *containers) podman(args ...string) *exec.Cmd {
	return c.command("podman", append([]string{"--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "file"}, args...)...)
}

func (c *containers) build(target string) {
	c.t.Helper()
	cmd := c.command("buildah", "bud", "--isolation", "chroot", "--format", "docker", "--build-arg", "PROGRAM=prebuilt", "--build-arg", "VERSION=test",
		"--file", "deploy/images/Dockerfile", "--target", target, "--tag", c.image(target), c.path("context"))
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("build the image %s: %v\n%s", target, err, out)
	}
}

// arguments start a container that can't do more than a fleet's.
func (c *containers) arguments() []string {
	return []string{"run", "--rm", "--network=host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
		"--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp:rw,noexec,nosuid,nodev,size=64m", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"-e", "LISTEN=127.0.0.1", "-e", "METRICS_ADDR=off"}
}

// run starts a server in a container, which is removed with the test.
func (c *containers) run(target string, args ...string) (name string, out *transcript) {
	c.t.Helper()
	name, out = "mini-vercel-test-"+target, &transcript{}
	cmd := c.podman(append(append(c.arguments(), "--name", name), append(args, c.image(target))...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	// Whatever becomes of this process, the pipe closes and the container goes.
	guard := exec.Command("sh", append([]string{"-c", `cat; exec "$@"`, "sh"}, c.podman("rm", "--force", "--time", "10", name).Args...)...)
	guard.Env, guard.SysProcAttr = cmd.Env, &syscall.SysProcAttr{Setpgid: true}
	alive, err := guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = alive.Close()
		if err := guard.Wait(); err != nil {
			c.t.Errorf("remove %s: %v", name, err)
		}
		_ = cmd.Wait() // its container is gone
		if c.t.Failed() {
			c.t.Logf("the log of %s:\n%s", name, tail(out.String(), 4000))
		}
	})
	return name, out
}

// healthy runs the image's own health check.
func (c *containers) healthy(name, image string) {
	c.t.Helper()
	if out, err := c.podman("healthcheck", "run", name).CombinedOutput(); err != nil {
		c.t.Errorf("%s is not healthy: %v\n%s", name, err, out)
	}
	user, err := c.podman("inspect", "--format", "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}", name).Output()
	if err != nil || strings.TrimSpace(string(user)) != "10001:10001 true" {
		c.t.Errorf("%s of the image %s: %q %v", name, image, user, err)
	}
}

// give lets the images' user have a folder.
func give(t *testing.T, dir string) {
	t.Helper()
	run(t, ".", "chown", "-R", "10001:10001", dir)
}
