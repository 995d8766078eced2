package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests of this file run for root and, by TestOrdinaryUser, for a user.

func TestBubblewrapEnvironmentIsClean(t *testing.T) {
	t.Setenv("MINI_VERCEL_TOKEN", "platform-secret")
	s, p := openMode(t, ModeBubblewrap, Limits{})
	leak, err := unix.Dup(0) // not closed on exec, as if inherited by the builder
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	out, _ := shell(t, s, `env; for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\0' '\n' < $f 2>/dev/null; done; ls /proc/self/fd; echo end`, func(c *Command) { c.Env = []string{"CI=1"} })
	for _, leak := range []string{"platform-secret", p.data, "MINI_VERCEL_TOKEN", os.Getenv("USER") + "@", "SSH_"} {
		if leak != "@" && strings.Contains(out, leak) {
			t.Errorf("a command sees %q:\n%s", leak, out)
		}
	}
	names, _ := shell(t, s, "env | cut -d= -f1 | sort | tr '\\n' ' '", func(c *Command) { c.Env = []string{"CI=1"} })
	if names != "CI HOME LANG LOGNAME NODE_EXTRA_CA_CERTS PATH PWD TMPDIR USER " {
		t.Errorf("the environment is %q", names)
	}
	init, _ := shell(t, s, "cat /proc/1/environ 2>/dev/null; ls /proc/self/fd | tr '\\n' ' '")
	if init != "0 1 2 3 " {
		t.Errorf("init's environment and the open files are %q", init)
	}
}

func TestBubblewrapHidesTheMachine(t *testing.T) {
	s, p := openMode(t, ModeBubblewrap, Limits{})
	home, _ := os.UserHomeDir()
	for _, path := range []string{p.data, p.secret, p.workspace, filepath.Join(home, "x"), "/root", "/home/" + filepath.Base(home), "/var/lib", "/var/log",
		"/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/ssl/private", "/etc/gitconfig", "/etc/npmrc", "/srv", "/mnt", "/boot", "/sys", "/run/systemd",
		"/run/docker.sock", "/var/run/docker.sock", "/proc/1/root/etc/shadow", "/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/net/tun", "/dev/fuse"} {
		if _, result := shell(t, s, `test -e "$1"`, func(c *Command) { c.Args = append(c.Args, "sh", path) }); result.ExitCode == 0 {
			t.Errorf("a command sees %s", path)
		}
	}
	out, _ := shell(t, s, "ls -A / /home /run /var /tmp ~ | tr '\\n' ' '; ls -A / | grep -v -e ^lib -e ^bin -e ^sbin -e ^nix | tr '\\n' ' '")
	if !strings.HasSuffix(out, " build dev etc home proc run tmp usr var ") {
		t.Errorf("there is: %s", out)
	}
	out, _ = shell(t, s, `grep -rls platform-secret / --exclude-dir=proc --exclude-dir=usr 2>/dev/null; hostname; id -un; cat /etc/passwd`)
	if want := "build\nbuild\n"; !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 4 {
		t.Errorf("got %q", out)
	}
}

func TestBubblewrapHidesWhatLiesInSomethingShown(t *testing.T) {
	need(t, "bwrap")
	p := newPlace(t, ModeBubblewrap)
	tools := filepath.Join(p.data, "tools")
	for _, dir := range []string{"bin", "keys", "linked"} {
		if err := os.MkdirAll(filepath.Join(tools, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(tools, "keys", "k"), "platform-secret")
	write(t, filepath.Join(tools, "one"), "platform-secret")
	write(t, filepath.Join(tools, "bin", "tool"), "#!/bin/sh\necho tool works\n")
	if err := os.Chmod(filepath.Join(tools, "bin", "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	hidden := []string{p.data, filepath.Join(tools, "keys"), filepath.Join(tools, "one")}
	s, err := New(t.Context(), Config{Mode: "bubblewrap", Hidden: hidden}, p.workspace, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	show := func(m Mount) func(*Command) { return func(c *Command) { c.ReadOnly = []Mount{m} } }
	out, _ := shell(t, s, "tool; cat /opt/tools/keys/k /opt/tools/one 2>/dev/null; chmod 755 /opt/tools/keys 2>/dev/null; echo x > /opt/tools/new || echo read-only", show(Mount{tools, "/opt/tools"}))
	if !strings.HasPrefix(out, "tool works\n") || !strings.HasSuffix(out, "read-only\n") || strings.Contains(out, "platform-secret") {
		t.Errorf("got %q", out)
	}
	for _, m := range []Mount{{Source: tools}, {tools, "/build/tools"}, {tools, "/tmp"}, {tools, "/etc"}, {tools, "/"}} {
		c := Command{Args: []string{"true"}, ReadOnly: []Mount{m}}
		if _, err := s.Run(t.Context(), c); err == nil {
			t.Errorf("%+v is shown", m)
		}
	}
}

func TestBubblewrapWritesOnlyInItsOwnFolders(t *testing.T) {
	s, _ := openMode(t, ModeBubblewrap, Limits{})
	out, _ := shell(t, s, `for d in /build /tmp /var/tmp /home/build /dev/shm / /usr /usr/bin /etc /home /var /run /dev /proc /proc/sys/kernel; do (echo x > $d/probe) 2>/dev/null && echo -n "$d "; done
echo x > /etc/hosts; mount -t tmpfs x /usr; mount -o remount,rw /; mount -o remount,rw /usr; echo 1 > /proc/sysrq-trigger`)
	if !strings.HasPrefix(out, "/build /tmp /var/tmp /home/build /dev/shm sh:") {
		t.Errorf("a command can write to: %s", out)
	}
	if out, result := shell(t, s, "head -c 70000000 /dev/zero > /dev/shm/x"); result.ExitCode == 0 {
		t.Errorf("/dev/shm has no limit: %s", out)
	}
}

func TestBubblewrapSeesOnlyItsOwnProcesses(t *testing.T) {
	s, _ := openMode(t, ModeBubblewrap, Limits{})
	out, _ := shell(t, s, `sleep 60 & ls -d /proc/[0-9]* | wc -l; kill -9 `+strconv.Itoa(os.Getpid())+` 2>/dev/null; ipcs -m 2>/dev/null | grep -c 0x; grep -E 'NoNewPrivs|CapPrm|CapBnd' /proc/self/status | tr -s '\t\n' ' '`)
	lines := strings.Split(out, "\n")
	count, err := strconv.Atoi(lines[0])
	if err != nil || count > 7 {
		t.Errorf("a command sees %s processes", lines[0])
	}
	if !strings.Contains(out, "NoNewPrivs: 1") || !strings.Contains(out, "CapPrm: 0000000000000000") {
		t.Errorf("rights are left: %s", out)
	}
	if out, _ := shell(t, s, "unshare --user --map-root-user --net true && echo made a user namespace"); strings.Contains(out, "made") {
		t.Error("a command can make a user namespace")
	}
}

// attacker runs this test binary as a command and returns what it managed to do.
func attacker(t *testing.T, s *Sandbox, env ...string) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := shell(t, s, "", func(c *Command) {
		c.Args = []string{"/opt/attacker"}
		c.ReadOnly = []Mount{{binary, "/opt/attacker"}}
		c.Env = append(env, "SANDBOX_TEST_ROLE=attacker")
		c.Network = true
	})
	return out
}

func TestBubblewrapAttackerGetsNothing(t *testing.T) {
	s, p := openMode(t, ModeBubblewrap, Limits{})
	out := attacker(t, s, "TARGET_PID="+strconv.Itoa(os.Getpid()), "TARGET_FILE="+p.secret)
	if out != "attacked\n" {
		t.Errorf("an attacker managed to:\n%s", out)
	}
}

// attack tries what takes more than a shell, and prints what works.
func attack() int {
	defer fmt.Println("attacked")
	if dial := os.Getenv("TARGET_DIALS"); dial != "" {
		attackNetwork(strings.Fields(dial))
		return 0
	}
	tell := func(what string, err error) {
		if err == nil {
			fmt.Println(what)
		}
	}
	outer, _ := strconv.Atoi(os.Getenv("TARGET_PID"))
	for _, pid := range []int{outer, os.Getppid()} {
		if pid == 1 && os.Getuid() == 1000 {
			continue // init is the command's own user's, and holds nothing
		}
		tell(fmt.Sprint("ptrace ", pid), unix.PtraceAttach(pid))
		tell(fmt.Sprint("signal ", pid), unix.Kill(pid, 0))
		_, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		tell(fmt.Sprint("open memory of ", pid), err)
		buffer := make([]byte, 8)
		_, err = unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &buffer[0], Len: 8}}, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
		tell(fmt.Sprint("read memory of ", pid), err)
		_, err = os.ReadFile(fmt.Sprintf("/proc/%d/root%s", pid, os.Getenv("TARGET_FILE")))
		tell(fmt.Sprint("read through the root of ", pid), err)
	}
	tell("become root", unix.Setuid(0))
	tell("become root's group", unix.Setgroups([]int{0}))
	tell("mount", unix.Mount("none", "/build", "tmpfs", 0, ""))
	tell("change the root", unix.Chroot("/build"))
	tell("make a device", unix.Mknod("/build/disk", unix.S_IFBLK|0o666, int(unix.Mkdev(254, 0))))
	tell("make a user namespace", unix.Unshare(unix.CLONE_NEWUSER))
	_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	tell("use a keyring", err)
	tell("set the host name", unix.Sethostname([]byte("x")))
	for depth := "/"; len(depth) < 60; depth += "../" {
		text, _ := os.ReadFile(depth + os.Getenv("TARGET_FILE"))
		if bytes.Contains(text, []byte("secret")) {
			fmt.Println("read the secret")
		}
	}
	return 0
}
