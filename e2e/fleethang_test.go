//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// carryOnTime bounds the wait until another control plane does what one did that
// is gone. It takes 14 s, and what a loaded machine adds.
const carryOnTime = time.Minute

// TestAControlPlaneThatHangs stops the process of a control plane that acts for
// all, for longer than its leases and claims last, while it builds and publishes.
// Another one carries on. When it goes on, it does no harm: nothing is published
// twice or backward, and no build is ended that another one has taken over.
func TestAControlPlaneThatHangs(t *testing.T) {
	f := startFleet(t, 3, 1)
	v := f.visitors(1)
	w := &work{f: f, v: v, ids: map[string]wanted{}, strict: true, again: map[string]bool{}}
	w.deployFolders(1, "warm")
	published := f.watchRecords()
	hung := f.planes[0]

	var working sync.WaitGroup
	working.Go(func() { w.builds(3, 2, 3*time.Second) })
	working.Go(func() { w.deployFolders(4, "site") })
	claimed := func(of string) []string {
		rows, err := f.query("SELECT id FROM deployments WHERE phase = 'build' AND claimed_by" + of)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	mine, others := fmt.Sprintf(" = '%s'", f.holder), fmt.Sprintf(" NOT IN ('', '%s')", f.holder)
	var stopped time.Time
	var taken []string
	for len(taken) == 0 { // or its build has just ended
		hung.eventually("it builds, and another one, too", func() bool { return len(claimed(mine)) > 0 && len(claimed(others)) > 0 })
		hung.signal(syscall.SIGSTOP)
		stopped = time.Now()
		if taken = claimed(mine); len(taken) == 0 {
			hung.signal(syscall.SIGCONT)
		}
	}
	w.mu.Lock()
	for _, id := range taken {
		w.again[id] = true
	}
	w.mu.Unlock()
	w.follow(taken[0], "http://"+hung.address) // it hears nothing for a while

	for left := "everything"; left != ""; time.Sleep(100 * time.Millisecond) {
		rows, err := f.query(fmt.Sprintf("SELECT 'lease ' || name FROM leases WHERE holder = '%s' UNION ALL SELECT 'build ' || id FROM deployments WHERE claimed_by = '%s'", f.holder, f.holder))
		if err != nil {
			t.Fatal(err)
		}
		if left = strings.Join(rows, ", "); left != "" && time.Since(stopped) > carryOnTime {
			t.Fatalf("nobody has taken over after %s: %s", carryOnTime, left)
		}
	}
	t.Logf("after %s others have taken over all that it did", time.Since(stopped).Round(100*time.Millisecond))
	// What is published now is newer than what the hung one was about to publish.
	for n := range 2 {
		w.deployFolder("warm-0", fmt.Sprint("while it hangs, ", n))
	}
	hung.signal(syscall.SIGCONT)
	hung.answers("/ready")
	for n := range 2 {
		w.deployFolder("warm-0", fmt.Sprint("since it goes on, ", n))
	}
	working.Wait()
	v.end()
	w.count()
	t.Logf("%d records were published", published.stop())
}
