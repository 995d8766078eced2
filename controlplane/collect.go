package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// collect frees what a project no longer needs: rows, logs and manifests of
// deployments that were removed a day ago, and blobs that no kept manifest
// names. The project's lock keeps it apart from publishing. In a dry run it only
// looks, without the lock.
func (s *Service) collect(ctx context.Context, g *Garbage, project string) error {
	c := &collection{s: s, g: g, project: project, now: s.now()}
	steps := []func(context.Context) error{c.read, c.manifests, c.blobs, c.archives}
	if !g.DryRun {
		locked, unlock, err := s.store.LockProject(ctx, project)
		if err != nil {
			return err
		}
		defer unlock()
		ctx = locked
		steps = append(steps, c.rows, c.again)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return fmt.Errorf("collect what project %s no longer needs: %w", project, err)
		}
	}
	return nil
}

// unpublishedWait is how long the files of removed deployments are kept while a
// route is not published.
const unpublishedWait = time.Hour

type collection struct {
	s       *Service
	g       *Garbage
	project string
	p       *ProjectRow
	now     time.Time
	next    time.Time // when there will be more to free; zero: not known of any

	kept     []string             // deployments whose manifests are needed, removed ones included
	removed  map[string]time.Time // when the files of removed deployments go
	logs     map[string]LogRef    // of those
	expiring map[string]bool      // deployments that a round would remove; in a dry run
	active   map[string]bool      // keys of archives that are still built from
}

// later notes that something can be freed then.
func (c *collection) later(at time.Time) {
	if c.next.IsZero() || at.Before(c.next) {
		c.next = at
	}
}

// read finds out what is needed.
func (c *collection) read(ctx context.Context) error {
	return c.s.store.View(ctx, func(tx Tx) (err error) {
		c.removed, c.logs, c.expiring, c.active = map[string]time.Time{}, map[string]LogRef{}, map[string]bool{}, map[string]bool{}
		if c.p, err = tx.Project(c.project); err != nil {
			return err
		}
		if c.kept, err = tx.KeptManifests(c.project, true, 1<<30); err != nil {
			return err
		}
		removed, err := tx.RemovedDeployments(c.project)
		if err != nil {
			return err
		}
		hosts, err := tx.HostsOfProject(c.project)
		if err != nil {
			return err
		}
		for _, d := range removed {
			at := d.RemovedAt.Add(freeAfter)
			// A route in the bucket may lead there still, but for other deployments' own.
			if slices.ContainsFunc(hosts, func(h *HostRow) bool {
				return h.Published > 0 && h.Generation > h.Published && (h.Role != RoleDeployment || strings.HasPrefix(h.Host, d.HostID+"--"))
			}) {
				at = later(at, c.now.Add(unpublishedWait))
			}
			c.removed[d.ID], c.logs[d.ID] = at, d.Log()
		}
		active, err := tx.ActiveDeployments(c.project)
		if err != nil {
			return err
		}
		for _, d := range active {
			c.active[d.ArchiveKey] = true
		}
		if !c.g.DryRun {
			return nil
		}
		q := c.s.retention()
		q.Project, q.Listed, q.Limit = c.project, true, 1<<30
		rows, err := tx.Expired(q)
		for _, d := range rows {
			if slices.ContainsFunc(hosts, func(h *HostRow) bool { return h.lists(d.ID, c.now) }) {
				continue
			}
			c.expiring[d.ID] = true
			of := c.g.of(c.p)
			of.Deployments = append(of.Deployments, expired(d))
		}
		return err
	})
}

// goes is when the files of a kept deployment go; never: false.
func (c *collection) goes(id string) (why string, at time.Time, ok bool) {
	if at, ok := c.removed[id]; ok {
		return "of removed deployments", at, true
	}
	return "of expired deployments", c.now.Add(freeAfter), c.expiring[id]
}

// sweep frees the objects below a prefix that judge says are not needed from a
// time on. Those whose time has not come are noted for later.
func (c *collection) sweep(ctx context.Context, prefix string, what GarbageKind, judge func(blob.Info) (why string, from time.Time, ok bool)) error {
	return c.s.deleteObjects(ctx, prefix, func(info blob.Info) bool {
		why, from, ok := judge(info)
		if !ok {
			return false
		}
		if from.After(c.now) {
			c.later(from)
			if c.g.DryRun {
				c.g.note(c.p, what, why, info, from)
			}
			return false
		}
		c.g.note(c.p, what, why, info, time.Time{})
		return !c.g.DryRun
	})
}

// manifests frees those of removed deployments, and of uploads that were never
// published.
func (c *collection) manifests(ctx context.Context) error {
	needed := map[string]bool{}
	for _, id := range c.kept {
		needed[id] = true
	}
	prefix := site.ManifestsPrefix(c.project)
	return c.sweep(ctx, prefix, GarbageManifests, func(info blob.Info) (string, time.Time, bool) {
		id := strings.TrimPrefix(info.Key, prefix)
		if why, at, ok := c.goes(id); ok {
			return why, at, true
		}
		return "never published", info.Modified.Add(blobAge), !needed[id]
	})
}

// blobs frees those that no kept manifest names. Where a manifest can't be read
// nothing is freed: it may name any of them.
func (c *collection) blobs(ctx context.Context) error {
	needed := map[site.Hash]struct{}{}
	type end struct {
		why string
		at  time.Time
	}
	ends := map[site.Hash]end{} // of blobs that only deployments name which go
	for _, id := range c.kept {
		why, at, going := c.goes(id)
		if going && !at.After(c.now) {
			continue // its time is over
		}
		// As it stands there: what is kept in memory may be an earlier one.
		m, err := c.s.readManifest(ctx, c.project, id)
		if going && errors.Is(err, fs.ErrNotExist) {
			continue // it was freed before the database was put back
		}
		if err != nil {
			return err
		}
		for b := range m.Blobs() {
			hash := b.SHA256()
			if !going {
				needed[hash] = struct{}{}
			} else if last, ok := ends[hash]; !ok || at.After(last.at) {
				ends[hash] = end{why, at}
			}
		}
	}
	prefix := site.BlobsPrefix(c.project)
	return c.sweep(ctx, prefix, GarbageBlobs, func(info blob.Info) (string, time.Time, bool) {
		hash, err := site.ParseHash(strings.TrimPrefix(info.Key, prefix))
		if err != nil {
			return "", time.Time{}, false // not ours
		}
		if _, ok := needed[hash]; ok {
			return "", time.Time{}, false
		}
		from := info.Modified.Add(blobAge)
		if e, ok := ends[hash]; ok {
			if e.at.After(from) {
				from = e.at
			}
			return e.why, from, true
		}
		return "named by no deployment", from, true
	})
}

// archives frees uploaded sources that are too old to be built again.
func (c *collection) archives(ctx context.Context) error {
	return c.sweep(ctx, archivesPrefix(c.project), GarbageArchives, func(info blob.Info) (string, time.Time, bool) {
		return "sources that were built", info.Modified.Add(archiveAge), !c.active[info.Key]
	})
}

// rows deletes removed deployments whose files are freed.
func (c *collection) rows(ctx context.Context) error {
	var ids []string
	var logs []LogRef
	for id, at := range c.removed {
		if at.After(c.now) {
			c.later(at)
			continue
		}
		ids, logs = append(ids, id), append(logs, c.logs[id])
		c.s.manifests.drop(site.ManifestKey(c.project, id))
	}
	if len(ids) == 0 {
		return nil
	}
	if err := c.s.logs.Delete(ctx, logs...); err != nil {
		return err
	}
	return c.s.store.Update(ctx, func(tx Tx) error { return tx.DeleteDeployments(ids...) })
}

// again notes when to come back.
func (c *collection) again(ctx context.Context) error {
	return c.s.store.Update(ctx, func(tx Tx) error {
		p, err := tx.Project(c.project)
		if err != nil {
			return err
		}
		next := c.next
		// Something was removed meanwhile.
		if p.CollectAt.After(c.now) && (next.IsZero() || p.CollectAt.Before(next)) {
			next = p.CollectAt
		}
		p.CollectAt = next
		return tx.SaveProject(p)
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
