package controlplane

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// RecoverOptions say how a lost database is made anew.
type RecoverOptions struct {
	// DryRun reports what would be done, and does nothing.
	DryRun bool
	// OneOwner gives all projects to the first owner, where the accounts are lost.
	OneOwner bool
	// Progress is told how far it got. It may be called by several goroutines,
	// one at a time.
	Progress Progress
}

// Restore fills an empty database with a backup and brings it up to what the
// bucket says: what was published since stays, what was removed since does not
// come back. It is all or nothing. Everything is published again at the next
// start. No control plane may run on the database meanwhile.
func (s *Service) Restore(ctx context.Context, backup io.ReadSeeker, o RecoverOptions) (*Recovery, error) {
	info, err := ReadBackup(backup, nil) // to its end, before anything is done
	if err != nil {
		return nil, err
	}
	if own := KeyFingerprint(s.config.MasterKey); info.Key != own {
		return nil, Errorf(CodeConflict, "The secrets of this backup are encrypted with another master key (%s) than this one (%s): set MASTER_KEY, or put master.key back into the data directory. Without it, rebuild-from-bucket brings back the sites alone.", info.Key, own)
	}
	if err := s.checkBackup(info); err != nil {
		return nil, err
	}
	report, err := s.recoverDatabase(ctx, o, func(tx Tx, report *Recovery) (highest int64, err error) {
		report.Backup = info
		if schema, err := tx.Schema(); err != nil || schema < info.Schema {
			return 0, or(err, Errorf(CodeConflict, "The backup was made by a newer version of mini-vercel (its schema is %d, this one's %d): use that version.", info.Schema, schema))
		}
		if _, err := backup.Seek(0, io.SeekStart); err != nil {
			return 0, fmt.Errorf("read the backup: %w", err)
		}
		again, err := ReadBackup(backup, func(table string, columns []string, values []any) error {
			if table == "counters" {
				return counterOf(tx, columns, values, &highest)
			}
			return tx.InsertRow(table, columns, values)
		})
		if err == nil {
			err = s.checkBackup(again) // the file may have been changed meanwhile
		}
		if err != nil {
			return 0, err
		}
		return highest, cancelUnfinished(tx, report, s)
	})
	if err == nil {
		err = s.reportMissing(ctx, report)
	}
	return report, err
}

// checkBackup refuses a backup that was not made with this master key, whatever
// it says of itself.
func (s *Service) checkBackup(info *BackupInfo) error {
	if !hmac.Equal([]byte(info.mac), []byte(s.backupMAC(info.sum))) {
		return Errorf(CodeConflict, "Somebody has changed this backup since it was made: it is whole, but not signed with the master key. Take another copy.")
	}
	return nil
}

// reportMissing names ready deployments whose manifest the bucket does not have:
// it is an older one than the database, or another one.
func (s *Service) reportMissing(ctx context.Context, report *Recovery) error {
	for project, ids := range report.ready {
		if len(ids) == 0 {
			continue
		}
		there := map[string]bool{}
		prefix := site.ManifestsPrefix(project)
		for info, err := range s.bucket.List(ctx, prefix, blob.ListOptions{}) {
			if err != nil {
				return fmt.Errorf("the bucket could not be compared with what was restored: %w", err)
			}
			there[strings.TrimPrefix(info.Key, prefix)] = true
		}
		for _, id := range ids {
			if !there[id] {
				report.Losses = append(report.Losses, Loss{"deployment " + id + " of project " + project, "the bucket does not have its files: deploy again"})
			}
		}
	}
	return nil
}

// readyDeployments lists those of each project that is there.
func readyDeployments(tx Tx) (map[string][]string, error) {
	projects, err := tx.AllProjects()
	if err != nil {
		return nil, err
	}
	ready := map[string][]string{}
	for _, id := range projects {
		p, err := tx.Project(id)
		if err != nil {
			return nil, err
		}
		if p.State == projectDeleted {
			continue
		}
		if ready[id], err = tx.KeptManifests(id, false, 1<<30); err != nil {
			return nil, err
		}
	}
	return ready, nil
}

// counterOf takes a row of the counters over: numbers that were drawn are not
// drawn again. That of generations is raised when everything is marked dirty.
func counterOf(tx Tx, columns []string, values []any, generation *int64) error {
	var name string
	var value int64
	for i, c := range columns {
		switch v := values[i].(type) {
		case string:
			if c == "name" {
				name = v
			}
		case int64:
			if c == "value" {
				value = v
			}
		}
	}
	if name == CounterGeneration {
		*generation = value
		return nil
	}
	_, err := tx.Raise(name, value)
	return err
}

// Rebuild fills an empty database from the bucket alone: projects, their ready
// deployments, routes, domains and protection. What was secret, and what was
// never published, is lost.
func (s *Service) Rebuild(ctx context.Context, o RecoverOptions) (*Recovery, error) {
	return s.recoverDatabase(ctx, o, func(_ Tx, report *Recovery) (int64, error) {
		report.Losses = append(report.Losses,
			Loss{"environment variables and git credentials", "they are in the database alone: set them again"},
			Loss{"accounts, passwords, API tokens and invitations", "they are in the database alone"},
			Loss{"deployments that failed, were canceled or had not ended", "they were never published"},
			Loss{"build logs", "those that the log store still has are found again; others are lost"})
		return 0, nil
	})
}

// recoverDatabase reads the bucket, and does all the rest in one transaction.
func (s *Service) recoverDatabase(ctx context.Context, o RecoverOptions, fill func(Tx, *Recovery) (highest int64, err error)) (report *Recovery, err error) {
	c, err := s.readContents(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	over, err := s.awaitUnused(ctx)
	if err != nil {
		return nil, err
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		report = &Recovery{Accounts: []RecoveredAccount{}, Losses: []Loss{}}
		if err := s.clearEmpty(tx, over); err != nil {
			return err
		}
		highest, err := fill(tx, report)
		if err != nil {
			return err
		}
		r := &recovery{s: s, tx: tx, c: c, oneOwner: o.OneOwner, highest: max(highest, c.highest), older: report.Backup != nil, now: s.now(), report: report}
		if err := r.run(); err != nil {
			return err
		}
		if report.ready, err = readyDeployments(tx); err != nil {
			return err
		}
		if o.DryRun {
			return errOnlyLooked
		}
		return nil
	})
	if errors.Is(err, errOnlyLooked) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return report, nil
}

// errInUse is the answer while a control plane runs on the database.
var errInUse = Errorf(CodeConflict, "A control plane uses this database: stop all of them, and try again.")

// awaitUnused looks whether a control plane publishes from this database, and
// returns how its lease stands that it has left behind.
func (s *Service) awaitUnused(ctx context.Context) (over LeaseRow, err error) {
	if s.config.Exclusive {
		return over, nil
	}
	var since time.Time
	for {
		var stands LeaseRow
		err := s.store.View(ctx, func(tx Tx) (err error) { stands, err = tx.Lease(publisherLease); return err })
		switch {
		case err != nil:
			return over, err
		case stands == LeaseRow{} || stands == over && time.Since(since) >= leaseTime:
			return stands, nil
		case over != LeaseRow{} && stands != over:
			return over, errInUse
		}
		if over != stands {
			over, since = stands, time.Now()
		}
		if err := pause(ctx, unusedPoll); err != nil {
			return over, err
		}
	}
}

// unusedPoll is how often it is looked whether a lease is renewed.
const unusedPoll = 100 * time.Millisecond

// clearEmpty refuses a database that holds something, or that a control plane
// uses. What a first start leaves behind is removed, and the master key that it
// tied the empty database to is replaced.
func (s *Service) clearEmpty(tx Tx, over LeaseRow) error {
	if !s.config.Exclusive {
		held, err := tx.TakeLease(publisherLease, LeaseRow{s.holder, s.now()}, over)
		if err != nil || !held {
			return or(err, errInUse)
		}
		if err := tx.DropLease(publisherLease, s.holder); err != nil {
			return err
		}
	}
	for _, table := range tx.Tables() {
		switch {
		case table.Passing, table.Name == "counters", table.Name == "users", table.Name == "tokens": // up's own token
			continue
		}
		if empty, err := tableIsEmpty(tx, table.Name); err != nil || !empty {
			return or(err, errNotEmpty)
		}
	}
	users, err := tx.CountUsers()
	if err != nil {
		return err
	}
	if users > 0 {
		_, err := tx.UnclaimedOwner()
		if CodeOf(err) == CodeNotFound || err == nil && users > 1 {
			return errNotEmpty
		}
		if err != nil {
			return err
		}
	}
	for _, name := range []string{"codes", "users"} {
		if err := tx.ClearTable(name); err != nil {
			return err
		}
	}
	return tx.SetMasterKey(KeyFingerprint(s.config.MasterKey))
}

var errNotEmpty = Errorf(CodeConflict, "The database is not empty: nothing was changed. Move it away, or use another one.")

// cancelUnfinished ends deployments that had not ended when the backup was made:
// what became of them is not known, and nobody waits for them any more.
func cancelUnfinished(tx Tx, report *Recovery, s *Service) error {
	projects, err := tx.AllProjects()
	if err != nil {
		return err
	}
	for _, project := range projects {
		active, err := tx.ActiveDeployments(project)
		if err != nil {
			return err
		}
		for _, d := range active {
			if err := transit(tx, s.now(), d, move{to: StatusCanceled, reason: "It had not ended when the backup was made from which the database was restored. Deploy again."}); err != nil {
				return err
			}
			report.Canceled++
		}
	}
	return nil
}
