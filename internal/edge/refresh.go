package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// refreshers is how many records are read anew at once.
const refreshers = 16

// refresher reads again what the change log named, at once, and everything
// that is held, at a bounded rate. What fails is tried again after the next
// time that the change log could be read.
type refresher struct {
	resolver *resolver
	limit    *rate.Limiter // of reads that the change log did not ask for

	mu     sync.Mutex
	wake   *sync.Cond
	closed bool
	urgent []refreshable
	slow   []refreshable
	failed []refreshable
	queued map[refreshable]bool // in one of the three
}

// refreshable is a *host or a *project.
type refreshable interface {
	refresh(context.Context, *resolver) error
}

func newRefresher(r *resolver, perSecond int) *refresher {
	f := &refresher{resolver: r, limit: rate.NewLimiter(rate.Limit(perSecond), perSecond), queued: map[refreshable]bool{}}
	f.wake = sync.NewCond(&f.mu)
	return f
}

// soon has an item read at once.
func (f *refresher) soon(item refreshable) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// An item that waits among the slow ones is read twice; that does no harm.
	f.queued[item] = true
	f.urgent = append(f.urgent, item)
	f.wake.Signal()
}

// sometime has items read when their turn comes.
func (f *refresher) sometime(items []refreshable) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, item := range items {
		if !f.queued[item] {
			f.queued[item] = true
			f.slow = append(f.slow, item)
		}
	}
	f.wake.Broadcast()
}

// later has an item read after the change log could be read again.
func (f *refresher) later(item refreshable) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.queued[item] {
		f.queued[item] = true
		f.failed = append(f.failed, item)
	}
}

// retry is called when the change log could be read.
func (f *refresher) retry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.failed) > 0 {
		f.urgent = append(f.urgent, f.failed...)
		f.failed = nil
		f.wake.Broadcast()
	}
}

// run works until the context ends.
func (f *refresher) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.closed = true
		f.wake.Broadcast()
	})
	defer stop()
	var workers sync.WaitGroup
	for range refreshers {
		workers.Go(func() {
			for {
				item, bounded := f.next()
				if item == nil || bounded && f.limit.Wait(ctx) != nil {
					return
				}
				if err := item.refresh(ctx, f.resolver); err != nil {
					f.later(item)
				}
			}
		})
	}
	workers.Wait()
}

func (f *refresher) next() (item refreshable, bounded bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.closed {
		for _, queue := range []*[]refreshable{&f.urgent, &f.slow} {
			if len(*queue) > 0 {
				item = (*queue)[0]
				*queue = (*queue)[1:]
				delete(f.queued, item)
				return item, queue == &f.slow
			}
		}
		f.wake.Wait()
	}
	return nil, false
}

// refresh brings a host's route up to date. While that fails, the host keeps
// what it shows.
func (h *host) refresh(ctx context.Context, r *resolver) error {
	before := h.route.value.Load()
	route, err := h.route.read(ctx, r.origin)
	if errors.Is(err, fs.ErrNotExist) {
		// Routes are never deleted; a bucket that was emptied has none.
		r.table.Lock()
		r.hosts.remove(h.name)
		r.table.Unlock()
		r.state.save(h.route.key, nil)
		return nil
	}
	if err != nil {
		return err
	}
	if view := h.view.Load(); route == before && (view != nil && view.route == route || h.next.Load() == route) {
		return nil
	}
	p, err := r.projectOf(route)
	if err == nil && p != nil && p.record.behind() {
		// What was protected, and then deployed, is not shown to everyone.
		err = fmt.Errorf("show %s: the record of its project is %w", h.name, errBelowFloor)
	}
	if err != nil {
		h.route.stale.Store(true)
		return err
	}
	r.turn(h, route, p)
	r.table.Lock()
	defer r.table.Unlock()
	if !h.gone.Load() {
		r.keep(h.route.key, route)
	}
	return nil
}

// refresh brings a project's record up to date.
func (p *project) refresh(ctx context.Context, r *resolver) error {
	before := p.record.value.Load()
	record, err := p.record.read(ctx, r.origin)
	if errors.Is(err, fs.ErrNotExist) {
		// Records are never deleted, and what was seen last counts. The change log
		// will name it when there is one again.
		p.record.stale.Store(true)
		return nil
	}
	if err != nil {
		return err
	}
	if record != before {
		r.keep(p.record.key, record)
	}
	return nil
}

// changed marks what a change names and has it read again.
func (r *resolver) changed(hostName, projectID string, generation int64) {
	r.table.Lock()
	defer r.table.Unlock()
	if hostName != "" {
		r.absent.remove(hostName)
		r.named.add(hostName, struct{}{}, 1)
		if h := r.loading[hostName]; h != nil {
			h.route.mark(generation)
		}
		if h, ok := r.hosts.peek(hostName); ok {
			h.route.mark(generation)
			r.refresh.soon(h)
		}
	}
	if projectID != "" {
		if p := r.projects[projectID].Value(); p != nil {
			p.record.mark(generation)
			r.refresh.soon(p)
		}
	}
}

// everything has all that is held read again, hosts without a route included:
// those when they are asked for next, within the budget. anew forgets the
// floors: the change log tells another story now.
func (r *resolver) everything(anew bool) {
	r.epoch.Add(1)
	r.table.Lock()
	defer r.table.Unlock()
	hosts := r.hosts.values()
	slices.SortStableFunc(hosts, func(a, b *host) int { return cmp.Compare(b.used.Load(), a.used.Load()) }) // those in use first
	var items []refreshable
	for id, weakly := range r.projects {
		p := weakly.Value()
		if p == nil {
			delete(r.projects, id)
			continue
		}
		if anew {
			p.record.floor.Store(0)
		}
		items = append(items, p)
	}
	for _, h := range hosts {
		if anew {
			h.route.floor.Store(0)
		}
		items = append(items, h)
	}
	r.refresh.sometime(items)
}

// belowBase reports whether a Host header's value is a host below the base
// domain, or the base domain itself.
func (r *resolver) belowBase(raw string) bool {
	name, err := site.NormalHost(raw)
	return err == nil && (name == r.base[1:] || strings.HasSuffix(name, r.base))
}
