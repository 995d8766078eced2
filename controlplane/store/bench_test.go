package store_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// BenchmarkUpdate says what a transaction costs on each engine, with all commits
// on the disk: one that notes a heartbeat, and one that queues a deployment; by
// one caller and by eight at once. Retries are those of one transaction.
func BenchmarkUpdate(b *testing.B) {
	engines := map[string]func(b *testing.B) *store.Store{
		"SQLite": func(b *testing.B) *store.Store {
			s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "control.db"))
			if err != nil {
				b.Fatal(err)
			}
			return s
		},
		"PostgreSQL": func(b *testing.B) *store.Store {
			return openPostgres(b, pgtest.Start(b, "fsync=on").Database(b))
		},
	}
	for _, engine := range []string{"SQLite", "PostgreSQL"} {
		b.Run(engine, func(b *testing.B) {
			s := engines[engine](b)
			defer s.Close()
			const projects = 20
			for n := range projects {
				project := fmt.Sprint("p", n)
				err := s.Update(b.Context(), func(tx controlplane.Tx) error {
					if err := tx.InsertProject(&controlplane.ProjectRow{Seq: int64(n), Project: controlplane.Project{ID: project, SubDomain: project, UserID: "u", State: "active"}}); err != nil {
						return err
					}
					return tx.InsertDeployment(&controlplane.DeploymentRow{Seq: int64(n), UserID: "u", Deployment: controlplane.Deployment{
						ID: "runs" + project, HostID: "runs", ProjectID: project, Kind: controlplane.KindGit, Status: controlplane.StatusInProgress, Attempt: 1}})
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			var seq atomic.Int64
			work := map[string]func(tx controlplane.Tx, n int64) error{
				"heartbeat": func(tx controlplane.Tx, n int64) error {
					_, err := tx.Heard(fmt.Sprint("runsp", n%projects), 1, n, time.Unix(n, 0))
					return err
				},
				"deploy": func(tx controlplane.Tx, n int64) error {
					p, err := tx.Project(fmt.Sprint("p", n%projects))
					if err != nil {
						return err
					}
					d := &controlplane.DeploymentRow{UserID: "u", Deployment: controlplane.Deployment{ID: fmt.Sprint("d", n), HostID: fmt.Sprint(n), ProjectID: p.ID, Status: controlplane.StatusReady, Kind: controlplane.KindGit}}
					if d.Seq, err = tx.Next(controlplane.CounterSeq, 1); err != nil {
						return err
					}
					d.Seq += 1000
					if err := tx.InsertDeployment(d); err != nil {
						return err
					}
					_, err = tx.ActiveDeployments(p.ID)
					return err
				},
			}
			for _, name := range []string{"heartbeat", "deploy"} {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						n := seq.Add(1)
						if err := s.Update(b.Context(), func(tx controlplane.Tx) error { return work[name](tx, n) }); err != nil {
							b.Fatal(err)
						}
					}
				})
				b.Run(name+", eight at once", func(b *testing.B) {
					var runs atomic.Int64
					b.SetParallelism(4)
					b.RunParallel(func(loop *testing.PB) {
						for loop.Next() {
							n := seq.Add(1)
							if err := s.Update(b.Context(), func(tx controlplane.Tx) error { runs.Add(1); return work[name](tx, n) }); err != nil {
								b.Error(err)
							}
						}
					})
					b.ReportMetric(float64(runs.Load())/float64(b.N)-1, "retries/op")
				})
			}
		})
	}
}
