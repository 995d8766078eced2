package edge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// maxHeadSize is the most that the change log may have, in bytes.
const maxHeadSize = 4 << 20

// headTimeout is after how long without the change log what is held counts as
// stale.
const headTimeout = 3 * time.Second

// changeLog follows the bucket's list of changes by one conditional read at a
// time, and has the resolver look again at what it names.
type changeLog struct {
	origin   *origin
	resolver *resolver
	metrics  *Metrics
	log      *slog.Logger

	etag string
	seq  int64
	last site.Change // the one with that number; the zero value where it is not known
	read bool        // at least once
}

// follow polls until the context ends. It closes ready after the first look,
// successful or not.
func (c *changeLog) follow(ctx context.Context, ready chan<- struct{}) {
	poll := time.NewTimer(0)
	defer poll.Stop()
	backstop := time.NewTimer(c.origin.pace.Load().Backstop)
	defer backstop.Stop()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-ctx.Done():
			if ready != nil {
				close(ready)
			}
			return
		case <-backstop.C:
			c.resolver.everything(false)
			backstop.Reset(c.origin.pace.Load().Backstop)
		case <-minute.C:
			c.resolver.minute.Add(1)
		case <-poll.C:
			c.look(ctx)
			if ready != nil {
				close(ready)
				ready = nil
			}
			poll.Reset(c.origin.pace.Load().Poll)
		}
	}
}

// look reads the head once and notes whether that was possible.
func (c *changeLog) look(ctx context.Context) {
	err := c.poll(ctx)
	if ctx.Err() != nil {
		return
	}
	if was := c.origin.down.Swap(err != nil); was != (err != nil) {
		if err != nil {
			c.log.Warn("the bucket can't be read; what is known is served stale", slog.Any("error", err))
		} else {
			c.log.Info("the bucket can be read again")
			c.origin.recovered()
		}
	}
	if err == nil {
		c.resolver.refresh.retry()
	}
}

func (c *changeLog) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	b, etag, err := c.origin.read(ctx, kindHead, site.HeadKey, c.etag, maxHeadSize)
	head := site.Head{}
	switch {
	case errors.Is(err, blob.ErrNotModified):
		return nil
	case errors.Is(err, fs.ErrNotExist): // nothing was ever published here
		etag = ""
	case err != nil:
		return err
	default:
		if err := site.DecodeRecord(b, &head); err != nil {
			return fmt.Errorf("read %s: %w", site.HeadKey, err)
		}
	}
	c.etag = etag
	c.apply(&head)
	return nil
}

func (c *changeLog) apply(head *site.Head) {
	changes, complete := head.Since(c.seq)
	back := head.Seq < c.seq
	if before := len(head.Changes) - len(changes) - 1; complete && before >= 0 && c.last != (site.Change{}) && head.Changes[before] != c.last {
		// It has moved back and on again: under the same numbers stand others.
		complete, back = false, true
	}
	switch {
	case !c.read:
		// What was restored while the log could not be read has no known age.
		c.resolver.everything(false)
		changes = head.Changes
	case !complete:
		c.metrics.gaps.Inc()
		c.log.Warn("the change log does not continue where this edge was; everything is revalidated",
			slog.Int64("was", c.seq), slog.Int64("is", head.Seq))
		c.resolver.everything(back)
		// What it still names is not left to its turn.
		changes = head.Changes
	}
	for _, change := range changes {
		c.resolver.changed(change.Host, change.Project, change.Generation)
	}
	if c.read {
		c.metrics.changes.Add(float64(len(changes)))
	}
	c.seq, c.last, c.read = head.Seq, site.Change{}, true
	if n := len(head.Changes); n > 0 {
		c.last = head.Changes[n-1]
	}
}
