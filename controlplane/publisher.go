package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	publisherLease   = "publisher"
	publishBatch     = 500 // hosts and projects of one round
	publishWriters   = 8   // writes at once
	publishConflicts = 10  // how often a write is begun anew
)

// publisher writes what is marked dirty to the bucket: routes and project
// records first, then the change log's head. It may be interrupted anywhere:
// whatever was not noted as published is written again, and a record that
// stands there already is left as it is.
type publisher struct {
	s      *Service
	headAt time.Time // of the last write of head
}

// publishOnce publishes one round and reports whether there is more to do. One
// control plane at a time calls it, or nearly so.
func (p *publisher) publishOnce(ctx context.Context) (more bool, err error) {
	if err := p.s.adoptBucket(ctx); err != nil {
		return false, err
	}
	var hosts []*HostRow
	var projects []*ProjectRow
	domains := map[string][]*DomainRow{}
	err = p.s.store.View(ctx, func(tx Tx) (err error) {
		if hosts, err = tx.DirtyHosts(publishBatch); err != nil {
			return err
		}
		if projects, err = tx.DirtyProjects(publishBatch); err != nil {
			return err
		}
		for _, row := range projects {
			if domains[row.ID], err = tx.Domains(row.ID); err != nil {
				return err
			}
		}
		if len(projects) == publishBatch {
			hosts, err = withoutEarlier(tx, hosts, projects)
		}
		return err
	})
	if err != nil || len(hosts)+len(projects) == 0 {
		return false, err
	}
	if err := p.waitForHead(ctx); err != nil {
		return false, err
	}
	now := p.s.now()
	round := p.writeAll(ctx, hosts, projects, domains, now)
	if len(round.changes) > 0 {
		if err := p.appendChanges(ctx, round.changes); err != nil {
			return false, err
		}
		if err := p.note(ctx, round.hosts, round.projects, now); err != nil {
			return false, err
		}
	}
	return len(hosts) == publishBatch || len(projects) == publishBatch, errors.Join(round.errs...)
}

// published is what one round wrote, and what it could not write: one record
// that fails does not hold up the others.
type published struct {
	mu       sync.Mutex
	hosts    []*HostRow
	projects []*ProjectRow
	changes  []site.Change
	errs     []error
}

func (p *publisher) writeAll(ctx context.Context, hosts []*HostRow, projects []*ProjectRow, domains map[string][]*DomainRow, now time.Time) *published {
	round := &published{}
	failed := map[string]bool{} // projects
	each := func(n int, write func(i int) error, done func(i int, err error)) {
		g := errgroup.Group{}
		g.SetLimit(publishWriters)
		for i := range n {
			g.Go(func() error {
				err := write(i)
				round.mu.Lock()
				defer round.mu.Unlock()
				if err != nil {
					round.errs = append(round.errs, err)
				} else {
					p.s.metrics.written.Inc()
				}
				done(i, err)
				return nil
			})
		}
		_ = g.Wait() // the errors are in round
	}
	each(len(projects), func(i int) error { return p.writeProject(ctx, projects[i], domains[projects[i].ID]) }, func(i int, err error) {
		row := projects[i]
		if err != nil {
			failed[row.ID] = true
			return
		}
		round.projects = append(round.projects, row)
		round.changes = append(round.changes, site.Change{Project: row.ID, Generation: row.Generation})
	})
	// A record says who may see the routes: none of them goes before it.
	hosts = slices.DeleteFunc(hosts, func(h *HostRow) bool { return failed[h.ProjectID] })
	each(len(hosts), func(i int) error { return p.writeRoute(ctx, hosts[i], now) }, func(i int, err error) {
		row := hosts[i]
		if err == nil {
			round.hosts = append(round.hosts, row)
			round.changes = append(round.changes, site.Change{Host: row.Host, Generation: row.Generation})
		}
	})
	return round
}

// withoutEarlier leaves out hosts whose project's record waits for a later round.
func withoutEarlier(tx Tx, hosts []*HostRow, projects []*ProjectRow) ([]*HostRow, error) {
	now := map[string]bool{}
	for _, p := range projects {
		now[p.ID] = true
	}
	var out []*HostRow
	for _, h := range hosts {
		if !now[h.ProjectID] {
			p, err := tx.Project(h.ProjectID)
			if err != nil && CodeOf(err) != CodeNotFound { // a tombstone outlives its project
				return nil, err
			}
			if p != nil && p.Generation > p.Published {
				continue
			}
		}
		out = append(out, h)
	}
	return out, nil
}

// waitForHead waits until head may be written again.
func (p *publisher) waitForHead(ctx context.Context) error {
	// A clock that went back is no reason to wait for longer.
	wait := min(p.s.config.HeadInterval-p.s.config.Now().Sub(p.headAt), p.s.config.HeadInterval)
	if wait <= 0 || p.headAt.IsZero() {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// note keeps what was published, and which deployments are live by that.
func (p *publisher) note(ctx context.Context, hosts []*HostRow, projects []*ProjectRow, now time.Time) error {
	return p.s.update(ctx, func(tx Tx, n *notes) error {
		for _, h := range hosts {
			if err := tx.HostPublished(h.Host, h.Generation, now); err != nil {
				return fmt.Errorf("note that host %s is published: %w", h.Host, err)
			}
		}
		for _, row := range projects {
			n.sweep = n.sweep || row.State == projectDeleted // its files can go now
			if err := tx.ProjectPublished(row.ID, row.Generation); err != nil {
				return fmt.Errorf("note that project %s is published: %w", row.ID, err)
			}
		}
		live, err := tx.WentLive(p.s.now())
		if err != nil {
			return fmt.Errorf("note what is live: %w", err)
		}
		for _, id := range live {
			d, err := tx.Deployment(id)
			if CodeOf(err) == CodeNotFound {
				continue // removed meanwhile
			}
			if err != nil {
				return err
			}
			n.deployments = append(n.deployments, d)
		}
		return nil
	})
}

func (p *publisher) writeRoute(ctx context.Context, h *HostRow, now time.Time) error {
	err := p.write(ctx, site.RouteKey(h.Host), h.Generation, routeRecord(h, now))
	if ahead := (*aheadError)(nil); errors.As(err, &ahead) {
		return p.redraw(ctx, ahead, func(tx Tx) error {
			row, err := tx.Host(h.Host)
			if err != nil || row.Generation >= ahead.stored {
				return err
			}
			if err := dirtyHost(tx, row, now); err != nil {
				return err
			}
			return tx.SaveHost(row)
		})
	}
	if err != nil {
		return fmt.Errorf("write route %s: %w", h.Host, err)
	}
	return nil
}

func (p *publisher) writeProject(ctx context.Context, row *ProjectRow, domains []*DomainRow) error {
	access, err := p.s.access(row)
	if err != nil {
		return err
	}
	record := projectRecord(row, domains)
	record.Access = access
	err = p.write(ctx, site.ProjectKey(row.ID), row.Generation, record)
	if ahead := (*aheadError)(nil); errors.As(err, &ahead) {
		return p.redraw(ctx, ahead, func(tx Tx) error {
			row, err := tx.Project(row.ID)
			if err != nil || row.Generation >= ahead.stored {
				return err
			}
			if err := dirtyProject(tx, row, p.s.now()); err != nil {
				return err
			}
			return tx.SaveProject(row)
		})
	}
	if err != nil {
		return fmt.Errorf("write record of project %s: %w", row.ID, err)
	}
	return nil
}

// aheadError says that the bucket holds a newer record than the row that was to
// be written: another publisher was faster, or the database is an older one
// that was restored.
type aheadError struct{ stored int64 }

func (e *aheadError) Error() string {
	return fmt.Sprintf("the bucket holds generation %d already", e.stored)
}

// redraw gives a row that the bucket is ahead of a higher generation, so that
// the next round writes it.
func (p *publisher) redraw(ctx context.Context, ahead *aheadError, f func(Tx) error) error {
	err := p.s.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.Raise(CounterGeneration, ahead.stored); err != nil {
			return err
		}
		return f(tx)
	})
	if err == nil {
		wake(p.s.wakePublisher)
	}
	return err
}

// write puts a record in the bucket unless it stands there already, guarded by
// what stands there.
func (p *publisher) write(ctx context.Context, key string, generation int64, record any) error {
	body, err := site.EncodeRecord(record)
	if err != nil {
		return err
	}
	for range publishConflicts {
		var stored struct {
			Generation int64 `json:"generation"`
		}
		var raw json.RawMessage
		found, etag, err := p.s.readRecord(ctx, key, &raw)
		if found && err == nil {
			if e := json.Unmarshal(raw, &stored); e != nil {
				err = fmt.Errorf("%w %s: %w", errRecord, key, e)
			}
		}
		if errors.Is(err, errRecord) {
			p.s.log.Error("a record in the bucket is damaged: it is written anew", "key", key, "error", err)
		} else if err != nil {
			return err
		}
		if found && stored.Generation == generation {
			if sameRecord(raw, body) {
				return nil
			}
			// The database has lost what it was drawn for, and drew it again.
			return &aheadError{stored.Generation + 1}
		}
		if found && stored.Generation > generation {
			return &aheadError{stored.Generation}
		}
		_, err = p.s.bucket.Put(ctx, key, bytes.NewReader(body), int64(len(body)), blob.PutOptions{IfMatch: etag, IfNoneMatch: !found})
		if !errors.Is(err, blob.ErrPrecondition) {
			return err
		}
	}
	return fmt.Errorf("%w, %d times in a row", blob.ErrPrecondition, publishConflicts)
}

// sameRecord reports whether two records differ in nothing but when they were
// written.
func sameRecord(a, b []byte) bool {
	var fields [2]map[string]any
	for i, record := range [][]byte{a, b} {
		if json.Unmarshal(record, &fields[i]) != nil {
			return false
		}
		delete(fields[i], "publishedAt")
		delete(fields[i], "sum")
	}
	return reflect.DeepEqual(fields[0], fields[1])
}

// appendChanges rewrites the change log's head.
func (p *publisher) appendChanges(ctx context.Context, changes []site.Change) error {
	for range publishConflicts {
		var head site.Head
		found, etag, err := p.s.readRecord(ctx, site.HeadKey, &head)
		if errors.Is(err, errRecord) {
			// Edges see it begin anew, and ask again for everything.
			p.s.log.Error("the change log is damaged: it begins anew", "error", err)
			head = site.Head{}
		} else if err != nil {
			return fmt.Errorf("append to the change log: %w", err)
		}
		head.Append(changes...)
		body, err := site.EncodeRecord(head)
		if err != nil {
			return err
		}
		_, err = p.s.bucket.Put(ctx, site.HeadKey, bytes.NewReader(body), int64(len(body)), blob.PutOptions{IfMatch: etag, IfNoneMatch: !found})
		if err == nil {
			p.headAt = p.s.config.Now()
			return nil
		}
		if !errors.Is(err, blob.ErrPrecondition) {
			return fmt.Errorf("append to the change log: %w", err)
		}
	}
	return fmt.Errorf("append to the change log: %w, %d times in a row", blob.ErrPrecondition, publishConflicts)
}

// errRecord says that an object of the bucket is not the JSON that belongs there.
var errRecord = errors.New("damaged record")

// maxRecordSize bounds what is read of a record; a full head has some 150 KiB.
const maxRecordSize = 4 << 20

// readRecord reads a small JSON object of the bucket.
func (s *Service) readRecord(ctx context.Context, key string, record any) (found bool, etag string, err error) {
	o, err := s.bucket.Get(ctx, key, blob.GetOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	defer o.Body.Close()
	body, err := io.ReadAll(io.LimitReader(o.Body, maxRecordSize))
	if err != nil {
		return false, "", err
	}
	if err := site.DecodeRecord(body, record); err != nil {
		return true, o.ETag, fmt.Errorf("%w %s: %w", errRecord, key, err)
	}
	return true, o.ETag, nil
}
