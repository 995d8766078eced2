package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// adoptTime bounds how long a database is brought up to a bucket that is ahead
// of it.
const adoptTime = time.Hour

// adoptBucket runs before the first record is written and before the first
// object is freed, not before the start: a bucket that is down keeps nobody from
// looking at projects and logs. It raises the counter of generations past the
// bucket's highest. A database that was behind it was put back from an older
// copy: it is brought up to what the bucket says, and everything is published
// again.
func (s *Service) adoptBucket(ctx context.Context) error {
	s.adopting.Lock()
	defer s.adopting.Unlock()
	if s.adopted {
		return nil
	}
	var head site.Head
	if _, _, err := s.readRecord(ctx, site.HeadKey, &head); err != nil && !errors.Is(err, errRecord) {
		return fmt.Errorf("read the change log: %w", err)
	}
	highest := int64(0)
	for _, c := range head.Changes {
		highest = max(highest, c.Generation)
	}
	was, empty := int64(0), false
	err := s.store.View(ctx, func(tx Tx) (err error) {
		if was, err = tx.Counter(CounterGeneration); err != nil {
			return err
		}
		empty, err = tableIsEmpty(tx, "projects")
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case was >= highest:
	case empty:
		s.log.Warn("the bucket holds sites that this database knows nothing of: they are served on. If the database was lost, stop, and run `mini-vercel restore` or `mini-vercel rebuild-from-bucket`")
		err := s.store.Update(ctx, func(tx Tx) error {
			_, err := tx.Raise(CounterGeneration, highest)
			return err
		})
		if err != nil {
			return err
		}
	default:
		s.log.Warn("the bucket is ahead of the database: bringing the database up to it, and publishing everything again", "database", was, "bucket", highest)
		if err := s.catchUp(ctx); err != nil {
			return fmt.Errorf("bring the database up to the bucket: %w", err)
		}
	}
	s.adopted = true
	return nil
}

// tableIsEmpty reports whether a table has no row.
func tableIsEmpty(tx Tx, table string) (bool, error) {
	err := tx.EachRow(table, func([]string, []any) error { return errNotEmpty })
	if errors.Is(err, errNotEmpty) {
		return false, nil
	}
	return err == nil, err
}

// catchUp brings a database up to a bucket that is ahead of it, in one
// transaction: another control plane, or the next try, has nothing to do then.
func (s *Service) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adoptTime)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.stopped:
			cancel()
		case <-done:
		}
	}()
	c, err := s.readContents(ctx, nil)
	if err != nil {
		return err
	}
	report := &Recovery{}
	err = s.store.Update(ctx, func(tx Tx) error {
		*report = Recovery{}
		if was, err := tx.Counter(CounterGeneration); err != nil || was >= c.highest {
			return err // another control plane was faster
		}
		r := &recovery{s: s, tx: tx, c: c, highest: c.highest, older: true, now: s.now(), report: report}
		return r.run()
	})
	if err != nil {
		return err
	}
	s.log.Warn("the database is brought up to the bucket", "projects", report.Projects, "deployments", report.Deployments,
		"hosts", report.Hosts, "tombstones", report.Tombstones, "removed", report.Removed, "losses", len(report.Losses))
	for _, l := range report.Losses {
		s.log.Warn("something could not be brought back", "what", l.What, "why", l.Why)
	}
	wake(s.wakePublisher)
	return nil
}
