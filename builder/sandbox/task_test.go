package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The machine that tests run on may well be one that answers there.
func init() { metadataAddresses = nil }

// containerVariable is set where the tests run in a container, as
// [TestInAContainer] makes one: to the bytes of its memory, or 0.
const containerVariable = "SANDBOX_TEST_CONTAINER"

func inTestContainer() bool { return os.Getenv(containerVariable) != "" }

// defaultCapabilities are what root in a container has unless more is asked for.
const defaultCapabilities = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"

// TestInAContainer runs the tests of ModeTask again where root has a container's
// rights and no more: no new namespaces, no mounts, control groups read-only.
func TestInAContainer(t *testing.T) {
	if os.Geteuid() != 0 || inTestContainer() {
		t.Skip("only root can make something like a container")
	}
	need(t, "unshare", "setpriv", "node")
	const memory = 1 << 30
	group, err := newGroup(groupParents(), Limits{MemoryBytes: memory}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer group.remove()
	variable := containerVariable + "=0"
	if group.memory != "" {
		variable = fmt.Sprint(containerVariable, "=", memory)
	}
	home := t.TempDir()
	if err := os.Chmod(filepath.Dir(home), 0o755); err != nil {
		t.Fatal(err)
	}
	// The shell stays as the init, which takes in whatever loses its parent.
	const script = `[ -z "$1" ] || echo $$ > "$1/cgroup.procs" || exit 1
capabilities=$2; shift 2
exec unshare --mount --pid --fork --kill-child --mount-proc sh -c '
for dir in $(cut -d" " -f5 /proc/self/mountinfo | grep ^/sys/fs/cgroup); do mount -o remount,bind,ro "$dir" || exit 1; done
capabilities=$1; shift
setpriv --bounding-set "$capabilities" --inh-caps=-all -- "$@" & wait $!' sh "$capabilities" "$@"`
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	run := "^(Test.*Task.*|TestCommandRunsInEveryMode|Test.*Limit.*|TestForkBombIsContained|TestNothingOutlives.*|TestCancelAtAnyMoment.*|TestABuilderKilled.*)$"
	cmd := exec.CommandContext(ctx, "sh", "-c", script, "sh", group.memory, defaultCapabilities, os.Args[0], "-test.v", "-test.timeout=2m", "-test.run="+run)
	cmd.Env = append(os.Environ(), variable, "TMPDIR="+home, "CI=true")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestTaskAttackerGetsNothing") {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "SKIP") {
		t.Logf("%s", out)
	}
}

func TestTaskAttackerGetsNothing(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_REGION": "eu-central-1", "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/task-identity", "MINI_VERCEL_CLAIM": "mvc_platform-secret",
	} {
		t.Setenv(name, value)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // as a builder is
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }()
	s, p := openMode(t, ModeTask, Limits{Processes: 100})
	out, _ := shell(t, s, "", func(c *Command) {
		c.Args = []string{attackerProgram(t, p)}
		c.Env = []string{"SANDBOX_TEST_ROLE=attacker", "TARGET_PID=" + strconv.Itoa(os.Getpid()), "TARGET_FILE=" + p.secret}
	})
	// What a container's own filter of system calls refuses, nothing does here.
	out = strings.NewReplacer("make a user namespace\n", "", "use a keyring\n", "").Replace(out)
	if out != "attacked\n" {
		t.Errorf("an attacker managed to:\n%s", out)
	}

	id := strconv.Itoa(s.user.id)
	out, _ = shell(t, s, `env; for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\0' '\n' < $f 2>/dev/null; done
id; grep -E 'NoNewPrivs|Cap(Prm|Eff|Bnd|Inh|Amb)' /proc/self/status | tr -s '\t\n' ' '; echo; ls /proc/self/fd | tr '\n' ' '`, func(c *Command) { c.Env = []string{"CI=1", "AWS_PROFILE=their-own"} })
	for _, leak := range []string{"platform-secret", "task-identity", "ECS_", "eu-central-1", "MINI_VERCEL"} {
		if strings.Contains(out, leak) {
			t.Errorf("a command sees %q:\n%s", leak, out)
		}
	}
	for _, want := range []string{"AWS_PROFILE=their-own\n", "uid=" + id + " gid=" + id + " groups=" + id, "NoNewPrivs: 1", "CapPrm: 0000000000000000", "CapEff: 0000000000000000", "CapBnd: 0000000000000000", "0 1 2 3 "} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q:\n%s", want, out)
		}
	}

	// A program that is root's and says so does not make its caller root.
	become := filepath.Join(filepath.Dir(p.data), "become")
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(become, cat, 0o755), os.Chmod(become, 0o755|os.ModeSetuid)); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(p.data, "builds", "spool")
	write(t, other, "platform-secret")
	if err := os.Chmod(other, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ = shell(t, s, `cat "$1"; "$2" "$1"; cat "$3"; ls "$4" /root; (echo x > "$4/new") && echo wrote there; mv "$PWD" "$PWD.away" && echo moved; kill -9 -1 2>/dev/null`, func(c *Command) {
		c.Args = append(c.Args, "sh", p.secret, become, other, filepath.Dir(other))
	})
	for _, bad := range []string{"platform-secret", "wrote there", "moved"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q in:\n%s", bad, out)
		}
	}
}

// attackerProgram is this test's own, where the commands' user can start it.
func attackerProgram(t *testing.T, p place) string {
	t.Helper()
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.workspace, "attacker")
	if err := os.WriteFile(path, self, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTaskMemoryLimit needs no control group: the watch adds up what all
// processes hold.
func TestTaskMemoryLimit(t *testing.T) {
	need(t, "node")
	s, _ := openMode(t, ModeTask, Limits{MemoryBytes: 400 * mib})
	s.parents = parentGroups{}
	keep := ";setInterval(()=>{},1000)" // until all have eaten
	eaters := func(each int, after string) []string {
		args := append([]string{"sh", "-c", `"$@" & "$@" & "$@" & wait`, "sh"}, eat(each)...)
		args[len(args)-1] += after
		return args
	}
	if out, result := shell(t, s, "", func(c *Command) { c.Args = eaters(50, "") }); result.ExitCode != 0 || result.Exceeded != "" {
		t.Errorf("below the limit: %+v %s", result, out)
	}
	_, result := shell(t, s, "", func(c *Command) { c.Args = eaters(200, keep) })
	if result.Exceeded != LimitMemory || s.Explain(result) != "out of memory: the build used more than 400 MiB" || result.PeakMemoryBytes <= 400*mib {
		t.Errorf("above the limit: %+v, %q", result, s.Explain(result))
	}
}

// TestTaskMemoryIsTheContainers lets a build use up what its container has: it
// ends, and the builder does not.
func TestTaskMemoryIsTheContainers(t *testing.T) {
	memory, _ := strconv.ParseInt(os.Getenv(containerVariable), 10, 64)
	if memory == 0 {
		t.Skip("in a container of known memory only")
	}
	if got := ownContainer().memoryBytes(); got != memory {
		t.Fatalf("the container has %d bytes, not %d", got, memory)
	}
	s, _ := openMode(t, ModeTask, Limits{MemoryBytes: 4096 * mib})
	_, result := shell(t, s, "", func(c *Command) { c.Args = eat(1200) })
	if got := s.Explain(result); got != "out of memory: the build used more than 768 MiB" {
		t.Errorf("%q, %+v", got, result)
	}
	// Faster than anybody looks: the kernel's word counts.
	s.limits.MemoryBytes = 0
	_, result = shell(t, s, "", func(c *Command) { c.Args = eat(1200) })
	if result.ExitCode != 137 || result.Exceeded != LimitMemory {
		t.Errorf("%+v", result)
	}
}

func TestTheLimitOnMemoryOfATask(t *testing.T) {
	for _, row := range []struct{ limit, container, want int64 }{
		{4096 * mib, 0, 4096 * mib}, // nobody says
		{4096 * mib, 8192 * mib, 4096 * mib},
		{4096 * mib, 4608 * mib, 4096 * mib},
		{4096 * mib, 4607 * mib, 4095 * mib},
		{4096 * mib, 1024 * mib, 768 * mib},
		{0, 2048 * mib, 1536 * mib},
	} {
		if got := (Limits{MemoryBytes: row.limit}).withinContainer(row.container).MemoryBytes; got != row.want {
			t.Errorf("%d in a container of %d: %d, want %d", row.limit, row.container, got, row.want)
		}
	}
}

func TestADirectoryIsOpenedToAll(t *testing.T) {
	dir := t.TempDir()
	for _, was := range []os.FileMode{0o755, 0o700} {
		if err := os.Chmod(dir, was); err != nil {
			t.Fatal(err)
		}
		openToAll(dir)
		if info, err := os.Stat(dir); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	openToAll(filepath.Join(dir, "missing"))
}

// TestATaskIsAsked: only who has started a task knows that it is there for one
// build alone.
func TestATaskIsAsked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run commands as another user")
	}
	need(t, "setpriv")
	sh, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir() // without bubblewrap
	if err := os.Symlink(sh, filepath.Join(bin, "setpriv")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")
	probe := func(mode string) Isolation { return Probe(t.Context(), Config{Mode: mode}) }
	for _, in := range []string{"", "http://169.254.170.2/v4/x"} { // as in a control plane that is a task itself
		t.Setenv("ECS_CONTAINER_METADATA_URI_V4", in)
		if i := probe("auto"); i.Mode != ModeUser || len(i.Warnings) == 0 {
			t.Errorf("auto in %q: %+v", in, i)
		}
	}
	if i := probe("task"); i.Mode != ModeTask || !i.Isolated() || i.Network || len(i.Warnings) != 0 {
		t.Errorf("%+v", i)
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x")
	for _, mode := range []string{"auto", "task"} {
		if i := probe(mode); i.Isolated() || i.Err() == nil || !strings.Contains(i.Err().Error(), "taskRoleArn") {
			t.Errorf("%s with a task role: %+v, %v", mode, i, i.Err())
		}
	}
}

// TestAMachineWithARole: its metadata answer whoever asks.
func TestAMachineWithARole(t *testing.T) {
	machine, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { machine.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	answers, refuses := machine.Addr().String(), closed.Addr().String()
	t.Setenv("AWS_EXECUTION_ENV", "AWS_ECS_EC2")
	if err := machineRole(t.Context(), []string{refuses, refuses}); err != nil {
		t.Errorf("nobody answers: %v", err)
	}
	if err := machineRole(t.Context(), []string{refuses, answers}); err == nil || !strings.Contains(err.Error(), "ECS_AWSVPC_BLOCK_IMDS") {
		t.Errorf("the machine answers: %v", err)
	}
	was := metadataAddresses
	metadataAddresses = []string{answers}
	t.Cleanup(func() { metadataAddresses = was })
	if i := Probe(t.Context(), Config{Mode: "task"}); i.Isolated() || i.Err() == nil || !strings.Contains(i.Err().Error(), answers) {
		t.Errorf("a task on it: %+v, %v", i, i.Err())
	}
	t.Setenv("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE") // which has no such machine
	if err := machineRole(t.Context(), []string{answers}); err != nil {
		t.Error(err)
	}
}
