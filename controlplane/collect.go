package controlplane

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// collect frees what a project no longer needs: rows, logs and manifests of
// deployments that were removed a day ago, and blobs that no kept manifest
// names. The project's lock keeps it apart from publishing.
func (s *Service) collect(ctx context.Context, project string) error {
	ctx, unlock, err := s.store.LockProject(ctx, project)
	if err != nil {
		return err
	}
	defer unlock()
	c := &collection{s: s, project: project, now: s.now()}
	for _, step := range []func(context.Context) error{c.removed, c.manifests, c.blobs, c.archives, c.again} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("collect what project %s no longer needs: %w", project, err)
		}
	}
	return nil
}

type collection struct {
	s       *Service
	project string
	now     time.Time
	next    time.Time // when there will be more to free; zero: not known of any
}

// later notes that something can be freed then.
func (c *collection) later(at time.Time) {
	if c.next.IsZero() || at.Before(c.next) {
		c.next = at
	}
}

// removed deletes deployments that were removed long enough ago.
func (c *collection) removed(ctx context.Context) error {
	var logs, waiting []LogRef
	err := c.s.store.View(ctx, func(tx Tx) (err error) {
		if logs, err = tx.RemovedDeployments(c.project, c.now.Add(-freeAfter)); err != nil {
			return err
		}
		waiting, err = tx.RemovedDeployments(c.project, c.now)
		return err
	})
	if err != nil {
		return err
	}
	if len(waiting) > len(logs) {
		c.later(c.now.Add(freeAfter))
	}
	ids, keys := make([]string, len(logs)), make([]string, len(logs))
	for i, log := range logs {
		ids[i], keys[i] = log.Deployment, site.ManifestKey(c.project, log.Deployment)
		c.s.manifests.drop(keys[i])
	}
	if len(ids) == 0 {
		return nil
	}
	if err := c.s.bucket.Delete(ctx, keys...); err != nil {
		return err
	}
	if err := c.s.logs.Delete(ctx, logs...); err != nil {
		return err
	}
	return c.s.store.Update(ctx, func(tx Tx) error { return tx.DeleteDeployments(ids...) })
}

// kept returns the ids of the deployments whose manifests are needed.
func (c *collection) kept(ctx context.Context) (ids []string, err error) {
	err = c.s.store.View(ctx, func(tx Tx) error {
		ids, err = tx.KeptManifests(c.project, true, 1<<30)
		return err
	})
	return ids, err
}

// manifests deletes those of uploads that were never published.
func (c *collection) manifests(ctx context.Context) error {
	kept, err := c.kept(ctx)
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	for _, id := range kept {
		needed[id] = true
	}
	prefix := site.ManifestsPrefix(c.project)
	return c.s.deleteObjects(ctx, prefix, func(info blob.Info) bool {
		return !needed[strings.TrimPrefix(info.Key, prefix)] && c.old(info, blobAge)
	})
}

// old reports whether an object has an age, and notes when it will have it.
func (c *collection) old(info blob.Info, age time.Duration) bool {
	if at := info.Modified.Add(age); at.After(c.now) {
		c.later(at)
		return false
	}
	return true
}

// blobs deletes those that no kept manifest names. Where a manifest can't be
// read nothing is deleted: it may name any of them.
func (c *collection) blobs(ctx context.Context) error {
	kept, err := c.kept(ctx)
	if err != nil {
		return err
	}
	needed := map[site.Hash]struct{}{}
	for _, id := range kept {
		m, err := c.s.manifest(ctx, c.project, id)
		if err != nil {
			return err
		}
		for b := range m.Blobs() {
			needed[b.SHA256()] = struct{}{}
		}
	}
	prefix := site.BlobsPrefix(c.project)
	return c.s.deleteObjects(ctx, prefix, func(info blob.Info) bool {
		hash, err := site.ParseHash(strings.TrimPrefix(info.Key, prefix))
		if err != nil {
			return false // not ours
		}
		_, ok := needed[hash]
		return !ok && c.old(info, blobAge)
	})
}

// archives deletes uploaded sources that are too old to be built again.
func (c *collection) archives(ctx context.Context) error {
	active := map[string]bool{}
	err := c.s.store.View(ctx, func(tx Tx) error {
		rows, err := tx.ActiveDeployments(c.project)
		for _, d := range rows {
			active[d.ArchiveKey] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.s.deleteObjects(ctx, archivesPrefix(c.project), func(info blob.Info) bool {
		return !active[info.Key] && c.old(info, archiveAge)
	})
}

// again notes when to come back.
func (c *collection) again(ctx context.Context) error {
	return c.s.store.Update(ctx, func(tx Tx) error {
		p, err := tx.Project(c.project)
		if err != nil {
			return err
		}
		next := c.next
		if p.CollectAt.After(c.now) && (next.IsZero() || p.CollectAt.Before(next)) {
			next = p.CollectAt // something was removed meanwhile
		}
		p.CollectAt = next
		return tx.SaveProject(p)
	})
}
