package runner

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// newSession makes a child the leader of a session of its own, which ends with
// the thread that started it.
func newSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// process is a builder with everything that it started.
type process struct {
	pid   int    // 0: not known
	start uint64 // so that another process of the same number is not taken for it
	work  string // its workspace, absolute
}

// finish waits until the builder has ended, then ends what it left behind. As
// long as it is a zombie its number is not given to another process.
func (p process) finish(cmd *exec.Cmd) (err error, clean bool) {
	for errors.Is(unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	clean = p.kill(killTime)
	return cmd.Wait(), clean
}

// kill ends everything of the builder, and reports whether nothing is left.
func (p process) kill(within time.Duration) bool {
	deadline := time.Now().Add(within)
	for {
		members := p.members()
		if len(members) == 0 {
			return true
		}
		// Stopped first, none starts another one while it is being killed.
		for _, pid := range members {
			_ = unix.Kill(pid, unix.SIGSTOP) // it may have ended meanwhile
		}
		for _, pid := range members {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// any reports whether something of the builder runs.
func (p process) any() bool { return len(p.members()) > 0 }

// members lists the processes that belong to the builder: it and its
// descendants, what is in its session, and whoever works in its workspace or
// was started with it in the environment, though its parents are gone.
func (p process) members() []int {
	all := processes()
	root, known := all[p.pid]
	// A number stays taken as long as a session has it: where the leader is
	// another process by now, nobody of the old session is left.
	session := p.pid > 1 && (!known || root.start == p.start)
	var out []int
	for pid, s := range all {
		if pid <= 1 || pid == os.Getpid() || s.state == 'Z' {
			continue
		}
		if session && (pid == p.pid || s.session == p.pid || descends(all, pid, p.pid)) || p.works(pid) {
			out = append(out, pid)
		}
	}
	return out
}

func descends(all map[int]procStat, pid, ancestor int) bool {
	for range 1000 {
		s, ok := all[pid]
		if !ok || s.parent <= 1 {
			return false
		}
		if s.parent == ancestor {
			return true
		}
		pid = s.parent
	}
	return false
}

// works reports whether a process has the workspace for its folder, or in its
// environment.
func (p process) works(pid int) bool {
	if p.work == "" {
		return false
	}
	proc := "/proc/" + strconv.Itoa(pid)
	if cwd, err := os.Readlink(proc + "/cwd"); err == nil && within(strings.TrimSuffix(cwd, " (deleted)"), p.work) {
		return true
	}
	environ, err := os.ReadFile(proc + "/environ")
	return err == nil && bytes.Contains(environ, []byte("="+p.work))
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// procStat is what is needed of /proc/<pid>/stat, see proc(5).
type procStat struct {
	state           byte
	parent, session int
	start           uint64
}

func processes() map[int]procStat {
	all := map[int]procStat{}
	dir, err := os.Open("/proc")
	if err != nil {
		return all
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, ok := statOf(pid); ok {
			all[pid] = s
		}
	}
	return all
}

func statOf(pid int) (s procStat, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return s, false
	}
	// The second field, the name, may hold anything, even parentheses.
	i := bytes.LastIndexByte(text, ')')
	if i < 0 {
		return s, false
	}
	fields := strings.Fields(string(text[i+1:]))
	if len(fields) < 20 {
		return s, false
	}
	s.state = fields[0][0]
	s.parent, _ = strconv.Atoi(fields[1])
	s.session, _ = strconv.Atoi(fields[3])
	s.start, _ = strconv.ParseUint(fields[19], 10, 64)
	return s, true
}

func startOf(pid int) (uint64, bool) {
	s, ok := statOf(pid)
	return s.start, ok
}
