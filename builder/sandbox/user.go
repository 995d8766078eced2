package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// buildUser is who the commands run as on the machine; id 0 is the builder itself.
type buildUser struct{ id int }

// pickUser picks an id that no process has. Every build gets another one, so
// that builds can't signal or read each other; it has no name and no home.
func pickUser(mode Mode) (buildUser, error) {
	if os.Geteuid() != 0 || mode == ModeNone {
		return buildUser{}, nil
	}
	first, count := freeIDs()
	for range 20 {
		id := first + rand.IntN(count)
		if len(processesOf(id)) == 0 {
			return buildUser{id}, nil
		}
	}
	return buildUser{}, errors.New("found no free user id")
}

// freeIDs is a range that neither people nor the system use. A container with
// a user namespace has few ids; there, those below what distributions hand out.
func freeIDs() (first, count int) {
	const high, many = 1 << 30, 1 << 29
	text, _ := os.ReadFile("/proc/self/uid_map")
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		start, _ := strconv.Atoi(fields[0])
		length, _ := strconv.Atoi(fields[2])
		if start <= high && start+length >= high+many {
			return high, many
		}
	}
	return 20_000, 30_000
}

// own gives one file to the user.
func (u buildUser) own(path string) error {
	if u.id == 0 {
		return nil
	}
	return os.Lchown(path, u.id, u.id)
}

// adopt gives a whole tree to the user. No command has run in it yet, so
// nothing moves underfoot.
func (u buildUser) adopt(root string) error {
	if u.id == 0 {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return u.own(path)
	})
}

// reachable is whether a user without rights gets as far as the workspace.
func reachable(workspace string) error {
	for dir := filepath.Dir(workspace); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("the build's user can't reach the workspace: %s lets only its owner pass; allow it (chmod o+x) or install bubblewrap", dir)
		}
		if dir == "/" {
			return nil
		}
	}
}

// processesOf lists the processes of a user that still run.
func processesOf(id int) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		info, err := os.Stat("/proc/" + entry.Name())
		if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != id {
			continue
		}
		if !zombie(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// zombie is whether a process has ended and waits for its parent to notice.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}
