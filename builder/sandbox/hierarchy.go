package sandbox

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// parentGroups are the directories in which this process may make groups.
type parentGroups struct {
	memory, pids string
	v2           bool
}

// groupParents looks below the group that this process is in, so that limits
// which the machine's owner has set go on to hold.
func groupParents() parentGroups {
	mounts, own := cgroupMounts(), ownCgroups()
	v1 := parentGroups{memory: nested(mounts["memory"], own["memory"]), pids: nested(mounts["pids"], own["pids"])}
	if v1.memory != "" || v1.pids != "" {
		return v1
	}
	// In version 2 a group with processes has no groups with limits below it,
	// so beside its own is where this process may make one.
	root := mounts["unified"]
	if root == "" {
		return parentGroups{}
	}
	dir := filepath.Join(root, own["unified"])
	for _, candidate := range []string{dir, filepath.Dir(dir)} {
		control, err := os.ReadFile(filepath.Join(candidate, "cgroup.subtree_control"))
		enabled := strings.Fields(string(control))
		if err != nil || len(candidate) < len(root) || !writable(candidate) || !writable(filepath.Join(candidate, "cgroup.procs")) {
			continue
		}
		parents := parentGroups{v2: true}
		for _, controller := range enabled {
			switch controller {
			case "memory":
				parents.memory = candidate
			case "pids":
				parents.pids = candidate
			}
		}
		if parents.memory != "" || parents.pids != "" {
			return parents
		}
	}
	return parentGroups{}
}

// nested is a version 1 hierarchy's directory for groups; empty if not writable.
func nested(mount, own string) string {
	if mount == "" {
		return ""
	}
	dir := filepath.Join(mount, own)
	if !isDir(dir) { // a container sees its own group as the root
		dir = mount
	}
	if !writable(dir) {
		return ""
	}
	return dir
}

// writable asks the kernel, which knows of read-only mounts too.
func writable(path string) bool {
	const wOK = 2
	return syscall.Access(path, wOK) == nil
}

// cgroupMounts maps a controller, or "unified" for version 2, to its mount.
func cgroupMounts() map[string]string {
	mounts := map[string]string{}
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return mounts
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		mount, kind, ok := strings.Cut(lines.Text(), " - ")
		fields, kindFields := strings.Fields(mount), strings.Fields(kind)
		if !ok || len(fields) < 5 || len(kindFields) < 3 {
			continue
		}
		switch kindFields[0] {
		case "cgroup2":
			mounts["unified"] = fields[4]
		case "cgroup":
			for _, option := range strings.Split(kindFields[2], ",") {
				mounts[option] = fields[4]
			}
		}
	}
	return mounts
}

// ownCgroups maps a controller, or "unified", to the group of this process.
func ownCgroups() map[string]string {
	own := map[string]string{}
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		if fields[1] == "" {
			own["unified"] = fields[2]
		}
		for _, controller := range strings.Split(fields[1], ",") {
			own[controller] = fields[2]
		}
	}
	return own
}
