//go:build e2e

package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/mototest"
)

// TestBuildsOnECS runs the platform with builders as tasks of a cluster. Moto
// takes the calls and starts nothing; the test reads a task's environment from
// the wire, and starts the builder with it as the task would.
func TestBuildsOnECS(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a container's root is root")
	}
	server := mototest.Start(t)
	server.NewCluster(t, "builds")
	subnets, group := server.Network(t)
	proxy := server.NewProxy(t)
	host, port := reachable(t)
	p := &platform{
		t: t, data: filepath.Join(t.TempDir(), "data"), config: t.TempDir(), port: port,
		env: append(mototest.Environ(proxy.URL), "LISTEN=0.0.0.0", "BUILDER_URL=http://"+net.JoinHostPort(host, port),
			"ECS_CLUSTER_NAME=builds", "ECS_TASK_DEFINITION=builds", "ECS_SUBNETS="+strings.Join(subnets, ","), "ECS_SECURITY_GROUPS="+group),
	}
	p.up()
	t.Cleanup(func() {
		p.interrupt()
		if t.Failed() {
			t.Logf("the log of up:\n%s", p.out.tail(6000))
		}
	})
	tasks := runTasks(t, proxy)

	// A build, and what it finds of the task around it.
	dir, url := repository(t, script(strings.Join([]string{
		"mkdir dist", "(id; env; cat /proc/*/environ /proc/*/cmdline; cat /proc/[0-9]*/root/proc/1/environ; ls -la ..; cat ../*; grep Cap /proc/self/status) > dist/index.html 2>&1 || true",
		"echo hello > dist/hello.txt",
	}, "; ")))
	first := p.deploy(0, "--git", url, "--project", "site", "--prod")
	if first.Status != "READY" {
		t.Fatalf("%+v", first)
	}
	p.serves(first.URL, "/hello.txt", "hello")
	_, page := p.get(first.URL, "/")
	for _, never := range []string{"uid=0", "mvc_", "mva_", "MINI_VERCEL_CLAIM", "task-identity", "ECS_", "AWS_", "test-secret"} {
		if strings.Contains(page, never) {
			t.Errorf("a command has found %q:\n%s", never, page)
		}
	}
	if !strings.Contains(page, "CapEff:\t0000000000000000") || !strings.Contains(page, "CapBnd:\t0000000000000000") {
		t.Errorf("a command has rights:\n%s", page)
	}
	// What stays to be read in the cluster is worth nothing any more.
	for _, call := range proxy.Calls("RunTask") {
		wire, _ := json.Marshal(call.Input)
		if strings.Contains(string(wire), "mva_") || strings.Contains(string(wire), p.token()) {
			t.Errorf("a secret is in the overrides: %s", wire)
		}
	}

	t.Run("a look at a repository", func(t *testing.T) {
		var found struct{ Framework, DefaultBranch string }
		if code := p.call(http.MethodPost, "/detect", map[string]string{"gitURL": url}, &found); code != http.StatusOK || found.DefaultBranch != "main" {
			t.Errorf("%d %+v", code, found)
		}
	})

	waiting := func(t *testing.T, name string) (deployment, *task) {
		t.Helper()
		set(t, dir, script("touch "+filepath.Join(tasks.dir, name)+"; sleep 60; mkdir -p dist; echo "+name+" > dist/index.html"))
		d := p.queue(first.ProjectID)
		task := tasks.of(p, d.ID+".1")
		p.eventually(name+" builds", func() bool { return p.deployment(d.ID).Phase == "build" })
		return d, task
	}

	t.Run("out of memory", func(t *testing.T) {
		d, task := waiting(t, "memory")
		task.kill()
		said := mototest.Exit(137, "OutOfMemoryError: Container killed due to memory usage")
		said["memory"] = "4096"
		proxy.Say(task.ARN, said)
		p.eventually("it fails", func() bool { return p.deployment(d.ID).Status == "FAIL" })
		if got := p.deployment(d.ID); !strings.Contains(got.Reason, "out of memory: the build used more than 4096 MiB") {
			t.Errorf("%+v", got)
		}
	})

	t.Run("Spot", func(t *testing.T) {
		d, task := waiting(t, "spot")
		set(t, dir, script("mkdir dist; echo again > dist/index.html"))
		task.kill()
		proxy.Say(task.ARN, map[string]any{"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stopCode": "SpotInterruption", "stoppedReason": "Your Spot Task was interrupted."})
		p.eventually("it is built again", func() bool { return p.deployment(d.ID).Status == "READY" })
		if got := p.deployment(d.ID); got.Attempt != 2 {
			t.Errorf("%+v", got)
		}
	})

	t.Run("a cancel", func(t *testing.T) {
		d, task := waiting(t, "cancel")
		if code := p.call(http.MethodPost, "/deployments/"+d.ID+"/cancel", nil, nil); code != http.StatusOK {
			t.Fatalf("cancel: %d", code)
		}
		p.eventually("the task is stopped", func() bool {
			for _, call := range proxy.Calls("StopTask") {
				if call.Input["task"] == task.ARN {
					return true
				}
			}
			return false
		})
		p.eventually("the builder is gone", task.ended)
	})

	t.Run("the control plane is killed", func(t *testing.T) {
		set(t, dir, script("for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 1; done; mkdir dist; echo survived > dist/index.html"))
		d := p.queue(first.ProjectID)
		p.eventually("it builds", func() bool { return p.deployment(d.ID).Phase == "build" })
		p.kill()
		p.up()
		p.eventually("it is ready", func() bool { return p.deployment(d.ID).Status == "READY" })
		if got := p.deployment(d.ID); got.Attempt != 1 {
			t.Errorf("%+v", got)
		}
	})

	t.Run("the control plane is killed before it knows of the task", func(t *testing.T) {
		set(t, dir, script("mkdir dist; echo begun again > dist/index.html"))
		proxy.Fail("RunTask", slices.Repeat([]mototest.Fault{{Lost: true}}, 100)...)
		d := p.queue(first.ProjectID)
		left := tasks.of(p, d.ID+".1")
		p.kill()
		proxy.NoFaults()
		p.up()
		p.eventually("it is ready", func() bool { return p.deployment(d.ID).Status == "READY" })
		if got := p.deployment(d.ID); got.Attempt > 2 {
			t.Errorf("%+v", got)
		}
		p.eventually("the task that it left ends", left.ended)
		p.serves(first.URL, "/", "begun again")
	})

	t.Run("no capacity", func(t *testing.T) {
		set(t, dir, script("mkdir dist; echo there was room > dist/index.html"))
		proxy.Fail("RunTask", slices.Repeat([]mototest.Fault{{Body: map[string]any{"tasks": []any{}, "failures": []any{
			map[string]any{"arn": "arn:x", "reason": "Capacity is unavailable at this time. Please try again later or in a different availability zone"},
		}}}}, 3)...)
		d := p.queue(first.ProjectID)
		p.eventually("it goes back into the queue", func() bool {
			return strings.Contains(p.out.String(), "Capacity is unavailable") && p.deployment(d.ID).Status == "QUEUED"
		})
		p.eventually("it is ready", func() bool { return p.deployment(d.ID).Status == "READY" })
	})

	t.Run("a build that takes too long", func(t *testing.T) {
		p.interrupt()
		p.env = append(p.env, "BUILD_TIMEOUT=3s")
		p.up()
		d, task := waiting(t, "timeout")
		p.eventually("it fails", func() bool { return p.deployment(d.ID).Status == "FAIL" })
		if got := p.deployment(d.ID); !strings.Contains(got.Reason, "3s") || got.Attempt != 1 {
			t.Errorf("%+v", got)
		}
		p.eventually("its task ends", task.ended)
	})
}

// reachable is an address of this machine that is not loopback, and a free port.
func reachable(t *testing.T) (host, port string) {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		n, ok := address.(*net.IPNet)
		if !ok || n.IP.To4() == nil || n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast() {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(n.IP.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return n.IP.String(), port
	}
	t.Skip("this machine has no address but loopback")
	return "", ""
}

// set commits other files to a repository.
func set(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		write(t, dir, name, text)
	}
	commit(t, dir, "change")
}

// queue asks for a deployment of what the repository has now.
func (p *platform) queue(project string) (d deployment) {
	p.t.Helper()
	if code := p.call(http.MethodPost, "/deploy", map[string]string{"projectId": project}, &d); code != http.StatusAccepted {
		p.t.Fatalf("deploy: %d", code)
	}
	return d
}

// cluster runs what tasks would: the builder, as root of a container.
type cluster struct {
	t       *testing.T
	dir     string // that commands of builds can write to
	mu      sync.Mutex
	tasks   map[string]*task // by attempt
	running sync.WaitGroup
}

type task struct {
	mototest.Task
	cmd  *exec.Cmd
	done chan struct{}
}

// container has a container's rights and no more: its processes are its own,
// control groups are read-only, and root has what deploy/ecs leaves it.
const container = `for dir in $(cut -d" " -f5 /proc/self/mountinfo | grep ^/sys/fs/cgroup); do mount -o remount,bind,ro "$dir" || exit 90; done
setpriv --bounding-set -all,+chown,+dac_override,+fowner,+kill,+setgid,+setuid,+setpcap --inh-caps=-all -- "$@" & wait $!`

func runTasks(t *testing.T, proxy *mototest.Proxy) *cluster {
	c := &cluster{t: t, dir: t.TempDir(), tasks: map[string]*task{}}
	if err := os.Chmod(filepath.Dir(c.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	quit := make(chan struct{})
	c.running.Go(func() {
		for {
			select {
			case <-quit:
				return
			case started := <-proxy.Started:
				c.start(proxy, started)
			case <-time.After(20 * time.Millisecond):
				c.stopAsked(proxy)
			}
		}
	})
	t.Cleanup(func() {
		close(quit)
		for _, task := range c.tasks {
			task.kill()
		}
		c.running.Wait()
	})
	return c
}

func (c *cluster) start(proxy *mototest.Proxy, started mototest.Task) {
	workspace := c.t.TempDir()
	k := &task{Task: started, done: make(chan struct{})}
	k.cmd = exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", container, "sh", binary, "build")
	k.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "MINI_VERCEL_WORKSPACE=" + workspace, // as the image and the task definition say
		"ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/task-identity", "AWS_DEFAULT_REGION=eu-central-1", "AWS_EXECUTION_ENV=AWS_ECS_FARGATE",
	}
	for name, value := range started.Env {
		k.cmd.Env = append(k.cmd.Env, name+"="+value)
	}
	k.cmd.Stderr = os.Stderr
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.mu.Lock()
	c.tasks[started.Tags["mini-vercel:attempt"]] = k
	c.mu.Unlock()
	began := make(chan struct{})
	c.running.Go(func() {
		defer close(k.done)
		err := k.cmd.Start()
		close(began)
		if err != nil {
			c.t.Error(err)
			return
		}
		_ = k.cmd.Wait()
		if code := k.cmd.ProcessState.ExitCode(); code >= 0 { // else it was killed, and the test says why
			proxy.Say(k.ARN, mototest.Exit(code, ""))
		}
	})
	<-began
}

// stopAsked ends what StopTask was called for.
func (c *cluster) stopAsked(proxy *mototest.Proxy) {
	for _, call := range proxy.Calls("StopTask") {
		c.mu.Lock()
		for _, k := range c.tasks {
			if k.ARN == call.Input["task"] {
				k.kill()
			}
		}
		c.mu.Unlock()
	}
}

func (c *cluster) of(p *platform, attempt string) (k *task) {
	p.t.Helper()
	p.eventually("a task is started for "+attempt, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		k = c.tasks[attempt]
		return k != nil
	})
	return k
}

func (k *task) kill() { _ = k.cmd.Process.Kill() }

func (k *task) ended() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}
