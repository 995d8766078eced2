package store_test

import (
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// markVariable has the test program mark everything in a database dirty, a row a
// statement, and end.
const markVariable = "TEST_MARK_ALL_DIRTY"

func openAny(ctx context.Context, address string) (*store.Store, error) {
	if strings.HasPrefix(address, "/") {
		return store.Open(ctx, address)
	}
	return store.OpenPostgres(ctx, store.PostgresOptions{URL: address, Migrate: true})
}

func markAllDirty(address string) error {
	store.SetDirtyPage(1)
	s, err := openAny(context.Background(), address)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Update(context.Background(), func(tx controlplane.Tx) error { return tx.MarkAllDirty(5000, time.Now()) })
}

// TestMarkingDirtyIsAllOrNothing kills it between pages, at any time until it is
// done.
func TestMarkingDirtyIsAllOrNothing(t *testing.T) {
	for name, address := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "control.db") },
		"PostgreSQL": func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			const hosts = 400
			at := address(t)
			s, err := openAny(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			err = s.Update(t.Context(), func(tx controlplane.Tx) error {
				for n := range hosts {
					h := &controlplane.HostRow{Host: fmt.Sprintf("h%03d.example.test", n), ProjectID: "p", UserID: "u", Role: controlplane.RoleProduction, Generation: 1, Published: 1}
					if err := tx.SaveHost(h); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			kills := 0
			for wait := 5 * time.Millisecond; ; wait += 15 * time.Millisecond {
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				c := osexec.CommandContext(ctx, os.Args[0]) // by SIGKILL
				c.Env = append(os.Environ(), markVariable+"="+at)
				c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
				out, err := c.CombinedOutput()
				killed := ctx.Err() != nil
				cancel()
				var generations []int64
				viewErr := s.View(t.Context(), func(tx controlplane.Tx) error {
					dirty, err := tx.DirtyHosts(2 * hosts)
					generations = nil
					for _, h := range dirty {
						generations = append(generations, h.Generation)
					}
					return err
				})
				slices.Sort(generations)
				if n := len(generations); viewErr != nil || n != 0 && (n != hosts || generations[0] <= 5000 || slices.Compact(generations)[hosts-1] != generations[0]+hosts-1) {
					t.Fatalf("after %s: %d of %d hosts are dirty, %v", wait, n, hosts, viewErr)
				}
				if err == nil {
					if len(generations) != hosts {
						t.Errorf("it is done, and %d of %d hosts are dirty", len(generations), hosts)
					}
					break
				}
				if !killed {
					t.Fatalf("%v: %s", err, out)
				}
				kills++
			}
			t.Logf("killed %d times", kills)
		})
	}
}
