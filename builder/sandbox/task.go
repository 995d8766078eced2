package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// In ModeTask the container is the sandbox: a task that was started for one
// build, with nothing in it but the builder. Fargate has no user namespaces, no
// mounts and no control groups to write to; what is left is what root in a
// container may do, to run the commands as a user who is nobody.

// taskRole fails in a task with a role: whoever learns of the address below
// which its credentials are has them, and the network is the commands', too.
func taskRole() error {
	for _, name := range []string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if os.Getenv(name) != "" {
			return errors.New("the task has a role, whose credentials builds could get at: remove taskRoleArn from its task definition")
		}
	}
	return nil
}

// metadataAddresses are where a machine of EC2 tells its role's credentials, to
// whoever asks.
var metadataAddresses = []string{"169.254.169.254:80", "[fd00:ec2::254]:80"}

// metadataTime bounds the look at them: an address that leads nowhere is silent.
const metadataTime = time.Second

// machineRole fails in a task that reaches the credentials of its machine. On
// Fargate there is no such machine.
func machineRole(ctx context.Context, addresses []string) error {
	if os.Getenv("AWS_EXECUTION_ENV") == "AWS_ECS_FARGATE" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	answers := make(chan string, len(addresses))
	for _, address := range addresses {
		go func() {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				answers <- ""
				return
			}
			conn.Close()
			answers <- address
		}()
	}
	for range addresses {
		if address := <-answers; address != "" {
			return fmt.Errorf("the machine answers at %s, where builds could get at the credentials of its role: set ECS_AWSVPC_BLOCK_IMDS=true in the configuration of its ECS agent, and use the network mode awsvpc", address)
		}
	}
	return nil
}

// openToAll lets every user make files in a directory and remove none but his
// own. A volume that is mounted as one for temporary files belongs to root.
func openToAll(dir string) {
	if info, err := os.Stat(dir); err == nil && info.IsDir() && info.Mode().Perm() != 0o777 {
		_ = os.Chmod(dir, 0o777|os.ModeSticky) // where that fails, commands have a directory of their own still
	}
}

// builderBytes is what of a container's memory is left to the builder, or a
// quarter where that is less.
const builderBytes = 512 << 20

// withinContainer lowers the limit on memory to what the container has: there,
// the kernel would rather end the builder, and nobody could say why.
func (l Limits) withinContainer(containerBytes int64) Limits {
	if containerBytes > 0 {
		most := containerBytes - min(builderBytes, containerBytes/4)
		if l.MemoryBytes <= 0 || l.MemoryBytes > most {
			l.MemoryBytes = most
		}
	}
	return l
}

// container is the control group that this process was started in. Only root
// outside writes to it; it tells what happened.
type container struct {
	memory string // its directory; none: nothing is known
	v2     bool
}

func ownContainer() container {
	mounts, own := cgroupMounts(), ownCgroups()
	find := func(controller, file string) string {
		if mounts[controller] == "" {
			return ""
		}
		// A container sees its own group as the root, or below the path it has outside.
		for _, dir := range []string{filepath.Join(mounts[controller], own[controller]), mounts[controller]} {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				return dir
			}
		}
		return ""
	}
	if dir := find("memory", "memory.oom_control"); dir != "" {
		return container{memory: dir}
	}
	return container{memory: find("unified", "memory.events"), v2: true}
}

// memoryBytes is the container's limit; 0: it has none.
func (c container) memoryBytes() int64 {
	file := "memory.limit_in_bytes"
	if c.v2 {
		file = "memory.max"
	}
	text, err := os.ReadFile(filepath.Join(c.memory, file))
	if c.memory == "" || err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // or "max"
	if err != nil || n >= math.MaxInt64>>10 {                           // or as much as can be counted
		return 0
	}
	return n
}

// kills counts the processes that the kernel has ended for want of memory.
func (c container) kills() int64 {
	file := "memory.oom_control"
	if c.v2 {
		file = "memory.events"
	}
	if c.memory == "" {
		return 0
	}
	return counter(filepath.Join(c.memory, file), "oom_kill")
}

// memoryOf adds up what the processes of a user hold for themselves. What they
// share after a fork counts for each of them.
func memoryOf(id int) (bytes int64) {
	for _, pid := range processesOf(id) {
		file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue // it has ended
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ":")
			if name == "RssAnon" || name == "RssShmem" {
				kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
				bytes += kib << 10
			}
		}
		file.Close()
	}
	return bytes
}

// offerFirst makes the kernel end a command rather than the builder, where the
// container's memory is used up. A command may take that back.
func offerFirst(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("1000"), 0)
}
