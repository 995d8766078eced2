package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// frozenProjects are as many as a control plane has connections for locks.
var frozenProjects = []string{"p0", "p1", "p2", "p3"}

// holderOf is where a process like this one is told to hold locks.
const holderOf = "TEST_LOCK_HOLDER_OF"

func init() {
	if address := os.Getenv(holderOf); address != "" {
		if err := holdLocks(address); err != nil {
			fmt.Println(err)
		}
		os.Exit(0)
	}
}

// holdLocks takes the locks, says so, and once it is told to goes on to write
// under each as if it still had it.
func holdLocks(address string) error {
	ctx := context.Background()
	s, err := store.OpenPostgres(ctx, store.PostgresOptions{URL: address})
	if err != nil {
		return err
	}
	if err := s.LockIdle(time.Second); err != nil {
		return err
	}
	var held []context.Context
	for _, project := range frozenProjects {
		locked, _, err := s.LockProject(ctx, project)
		if err != nil {
			return err
		}
		held = append(held, context.WithoutCancel(locked))
	}
	fmt.Println("held")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	for i, locked := range held {
		fmt.Println(controlplane.CodeOf(s.Update(locked, host("by-"+frozenProjects[i]))))
	}
	return nil
}

// TestAHolderThatHangs stops a process that holds locks, as a debugger or a
// machine without memory does: its kernel still answers for it. Those who wait
// hold up no other project, have the locks in the end, and it writes nothing
// when it goes on.
func TestAHolderThatHangs(t *testing.T) {
	address := pgtest.Database(t)
	s := openPostgres(t, address)
	defer s.Close()
	holder := osexec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holderOf+"="+address)
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer holder.Wait() //nolint:errcheck // it is killed
	defer holder.Process.Kill()
	says := bufio.NewScanner(out)
	if !says.Scan() || says.Text() != "held" {
		t.Fatalf("the holder says %q", says.Text())
	}
	if err := holder.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	taken := make(chan error, len(frozenProjects))
	for _, project := range frozenProjects {
		go func() {
			locked, unlock, err := s.LockProject(ctx, project)
			if err == nil {
				err = s.Update(locked, host("after-"+project))
				unlock()
			}
			taken <- err
		}()
	}
	_, unlock, err := s.LockProject(ctx, "free")
	if err != nil {
		t.Fatalf("another project is held up: %v", err)
	}
	unlock()
	for range frozenProjects {
		if err := <-taken; err != nil {
			t.Fatal(err)
		}
	}
	if err := holder.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(in, "go on"); err != nil {
		t.Fatal(err)
	}
	for _, project := range frozenProjects {
		if !says.Scan() || !strings.Contains(says.Text(), string(controlplane.CodeUnavailable)) {
			t.Errorf("a former holder that writes: %q", says.Text())
		}
		if hasHost(t, s, "by-"+project) || !hasHost(t, s, "after-"+project) {
			t.Errorf("project %s: the former holder has written, or the next has not", project)
		}
	}
}

// TestWhoWaitsForALockHoldsUpNobody: more wait than there are connections for.
func TestWhoWaitsForALockHoldsUpNobody(t *testing.T) {
	address := pgtest.Database(t)
	s, other := openPostgres(t, address), openPostgres(t, address)
	defer s.Close()
	defer other.Close()
	for _, project := range frozenProjects {
		_, unlock, err := other.LockProject(t.Context(), project)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
	}
	waiting, leave := context.WithCancel(t.Context())
	defer leave()
	gone := make(chan error, len(frozenProjects))
	for _, project := range frozenProjects {
		go func() {
			_, _, err := s.LockProject(waiting, project)
			gone <- err
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 50 { // all wait by then
		_, unlock, err := s.LockProject(ctx, "free")
		if err != nil {
			t.Fatalf("another project is held up: %v", err)
		}
		unlock()
	}
	leave()
	for range frozenProjects {
		if err := <-gone; err == nil {
			t.Error("a lock has two holders")
		}
	}
}
