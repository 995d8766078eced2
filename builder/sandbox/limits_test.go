package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const mib = 1 << 20

// eat makes Node hold so many MiB that are really used.
func eat(mebibytes int) []string {
	return []string{"node", "-e", fmt.Sprintf("const b=[];for(let i=0;i<%d;i++)b.push(Buffer.alloc(1048576,1));console.log('ate',b.length)", mebibytes)}
}

// hold makes of eat what does not end by itself.
func hold(eat []string) []string {
	eat[len(eat)-1] += ";setInterval(()=>{},1000)"
	return eat
}

func TestMemoryLimit(t *testing.T) {
	need(t, "node")
	if groupParents().memory == "" && !inTestContainer() {
		if os.Geteuid() != 0 {
			t.Skip("this user can make no memory control group")
		}
		lack(t, "no memory control group can be made here")
	}
	limits := Limits{MemoryBytes: 300 * mib}
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			s, _ := openMode(t, mode, limits)
			out, result := shell(t, s, "", func(c *Command) { c.Args = eat(100) })
			if result.ExitCode != 0 || result.Exceeded != "" || limits.Explain(result) != "" || !strings.Contains(out, "ate 100") {
				t.Errorf("below the limit: %+v, %s", result, out)
			}
			if exact := groupParents().memory != ""; exact && result.PeakMemoryBytes < 100*mib || result.PeakMemoryBytes > limits.MemoryBytes {
				t.Errorf("the peak was %d", result.PeakMemoryBytes)
			}
			_, result = shell(t, s, "", func(c *Command) { c.Args = eat(600) })
			if result.ExitCode == 0 || result.Exceeded != LimitMemory {
				t.Errorf("above the limit: %+v", result)
			}
			if got := limits.Explain(result); got != "out of memory: the build used more than 300 MiB" {
				t.Errorf("the reason is %q", got)
			}
			// Several processes count together, and the end of one is the end of all.
			_, result = shell(t, s, "", func(c *Command) {
				c.Args = []string{"sh", "-c", `"$@" & "$@" & "$@" & wait; sleep 60`, "sh"}
				c.Args = append(c.Args, hold(eat(150))...) // until all have eaten
			})
			if result.Exceeded != LimitMemory || result.Duration > 30*time.Second {
				t.Errorf("together above the limit: %+v", result)
			}
		})
	}
}

func TestLimitsWithoutControlGroups(t *testing.T) {
	need(t, "node")
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			s, _ := openMode(t, mode, Limits{MemoryBytes: 600 * mib, Processes: 50})
			s.parents = parentGroups{}
			if out, result := shell(t, s, "", func(c *Command) { c.Args = eat(100) }); result.ExitCode != 0 {
				t.Errorf("below the limit on memory: %+v, %s", result, out)
			}
			// What is there for less than a look at it, nobody sees.
			if out, result := shell(t, s, "", func(c *Command) { c.Args = hold(eat(700)) }); result.ExitCode == 0 {
				t.Errorf("above the limit on memory: %+v, %s", result, out)
			}
			fork := func(n int) Result {
				_, result := shell(t, s, fmt.Sprintf("for i in $(seq %d); do sleep 0.2 & done; wait; exit 0", n))
				return result
			}
			if mode == ModeNone {
				return // root has no limit, and others share one with all they run
			}
			if result := fork(49); result.ExitCode != 0 {
				t.Errorf("at the limit on processes: %+v", result)
			}
			if result := fork(50); result.ExitCode == 0 {
				t.Errorf("above the limit on processes: %+v", result)
			}
		})
	}
}

func TestProcessLimit(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			if mode == ModeNone && groupParents().pids == "" {
				t.Skip("the limit counts other processes of the user, too")
			}
			limits := Limits{Processes: 20}
			s, _ := openMode(t, mode, limits)
			children := func(n int) Result {
				_, result := shell(t, s, fmt.Sprintf("for i in $(seq %d); do sleep 0.2 & done; wait; exit 0", n))
				return result
			}
			// The shell itself is one, and seq is gone by then.
			if result := children(19); result.ExitCode != 0 || result.Exceeded != "" {
				t.Errorf("at the limit: %+v", result)
			}
			result := children(20)
			if result.ExitCode == 0 {
				t.Errorf("above the limit: %+v", result)
			}
			if groupParents().pids != "" && limits.Explain(result) != "too many processes: the build started more than 20 at once" {
				t.Errorf("the reason is %q", limits.Explain(result))
			}
		})
	}
}

func TestForkBombIsContained(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			if mode == ModeNone && groupParents().pids == "" {
				t.Skip("nothing contains it here")
			}
			s, _ := openMode(t, mode, Limits{Processes: 50})
			_, result := shell(t, s, "bomb() { bomb & bomb; }; (bomb) 2>/dev/null & sleep 0.3; exit 4")
			if result.ExitCode != 4 && result.Exceeded != LimitProcesses {
				t.Errorf("got %+v", result)
			}
		})
	}
}

func TestFileSizeLimit(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			limits := Limits{FileSizeBytes: mib}
			s, _ := openMode(t, mode, limits)
			if out, result := shell(t, s, "head -c 1048576 /dev/zero > f"); result.ExitCode != 0 {
				t.Errorf("at the limit: %+v %s", result, out)
			}
			_, result := shell(t, s, "head -c 1048577 /dev/zero > f")
			if got := limits.Explain(result); got != "file too large: the build wrote a file of more than 1 MiB" {
				t.Errorf("above the limit: %+v, %q", result, got)
			}
		})
	}
}

func TestWorkspaceLimit(t *testing.T) {
	const script = `n=$1; dir=$2; mkdir -p $dir; i=0; while [ $i -lt $n ]; do head -c 1048576 /dev/zero > $dir/f$i; i=$((i+1)); done; ln $dir/f0 $dir/again; sleep "$3"`
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			limits := Limits{WorkspaceBytes: 10 * mib}
			s, _ := openMode(t, mode, limits)
			s.scanEvery = 50 * time.Millisecond
			run := func(mebibytes, dir, sleep string) Result {
				_, result := shell(t, s, script, func(c *Command) { c.Args = append(c.Args, "sh", mebibytes, dir, sleep) })
				return result
			}
			if result := run("8", s.Path(), "0.5"); result.ExitCode != 0 {
				t.Errorf("below the limit: %+v", result)
			}
			// Its home counts as well, and a folder that it closes to itself.
			home := s.home()
			if mode == ModeBubblewrap {
				home = insideHome
			}
			_, result := shell(t, s, strings.ReplaceAll(script, `sleep "$3"`, "chmod 000 $dir; exec sleep 60"), func(c *Command) {
				c.Args = append(c.Args, "sh", "4", home+"/cache")
			})
			if got := limits.Explain(result); got != "out of disk space: the build wrote more than 10 MiB" || result.Duration > 30*time.Second {
				t.Errorf("above the limit: %+v, %q", result, got)
			}
		})
	}
}
