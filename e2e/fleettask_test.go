//go:build e2e

package e2e

import (
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/mototest"
)

// TestATaskOutlivesAControlPlaneThatHangs stops the process of the control plane
// that looks after a task, for longer than its claim lasts. Another one takes the
// task over, and the one that goes on leaves it alone: the build is the first
// attempt's.
func TestATaskOutlivesAControlPlaneThatHangs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a container's root is root")
	}
	server := mototest.Start(t)
	server.NewCluster(t, "builds")
	subnets, group := server.Network(t)
	proxy := server.NewProxy(t)
	host, _ := reachable(t)
	f := startFleet(t, 2, 1, func(f *fleet) []string {
		return append(mototest.Environ(proxy.URL), "BUILDER_URL="+f.lb.listen(t, host), "R2_UPLOADS=relayed",
			"ECS_CLUSTER_NAME=builds", "ECS_TASK_DEFINITION=builds", "ECS_SUBNETS="+strings.Join(subnets, ","), "ECS_SECURITY_GROUPS="+group)
	})
	runTasks(t, proxy)
	v := f.visitors(1)
	w := &work{f: f, v: v, ids: map[string]wanted{}, strict: true}
	var working sync.WaitGroup
	working.Go(func() { w.builds(1, 1, 12*time.Second) })

	holder := func() string {
		rows, err := f.query("SELECT claimed_by FROM deployments WHERE phase = 'build' AND claimed_by <> ''")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(rows, ", ")
	}
	hung := f.planes[0]
	hung.eventually("a task builds", func() bool { return holder() != "" })
	first := holder()
	if first != f.holder {
		hung = f.planes[1]
	}
	hung.signal(syscall.SIGSTOP)
	for stopped := time.Now(); holder() == first; time.Sleep(100 * time.Millisecond) {
		if time.Since(stopped) > carryOnTime {
			t.Fatalf("nobody has taken the task over after %s", carryOnTime)
		}
	}
	if holder() == "" {
		t.Fatal("its build has ended")
	}
	hung.signal(syscall.SIGCONT)
	hung.answers("/ready")
	working.Wait()
	v.end()
	w.count()
}
