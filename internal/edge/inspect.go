package edge

import (
	"errors"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// CacheState is what one cache holds, and what it did since the edge began.
type CacheState struct {
	Entries   int    `json:"entries"`
	Bytes     int64  `json:"bytes,omitempty"` // none where entries are what is bounded
	Hits      uint64 `json:"hits"`
	Misses    uint64 `json:"misses"`
	Evictions uint64 `json:"evictions"`
}

// State is what an edge holds, for operators.
type State struct {
	BucketAway bool                  `json:"bucketAway"` // what is known is served stale
	Caches     map[string]CacheState `json:"caches"`
}

// State returns what the edge holds now.
func (e *Edge) State() State {
	s := State{BucketAway: e.origin.down.Load(), Caches: map[string]CacheState{}}
	for name, stats := range e.caches() {
		t := stats()
		state := CacheState{Entries: t.entries, Hits: t.hits, Misses: t.misses, Evictions: t.evictions}
		if countsBytes(name) {
			state.Bytes = t.cost
		}
		s.Caches[name] = state
	}
	return s
}

// HostState is what an edge holds of one host.
type HostState struct {
	Host string `json:"host"`

	// Where the route is: memory, disk (in the state directory, read when the host
	// is asked for while the bucket is away), or absent, where the bucket has none.
	Held string `json:"held"`

	// What is in memory.
	Project      string    `json:"project,omitempty"`
	ProjectState string    `json:"projectState,omitempty"`
	Deployment   string    `json:"deployment,omitempty"`
	Environment  string    `json:"environment,omitempty"`
	RedirectTo   string    `json:"redirectTo,omitempty"`
	Gone         bool      `json:"gone,omitempty"`
	Protected    bool      `json:"protected,omitempty"`
	Generation   int64     `json:"generation,omitempty"`
	PublishedAt  time.Time `json:"publishedAt,omitzero"`
	Stale        bool      `json:"stale,omitempty"` // it may be old: it is read anew as soon as the bucket answers

	Manifest   string `json:"manifest,omitempty"`   // of its deployment: memory, disk
	Pages      int    `json:"pages,omitempty"`      // of its deployment that are prepared
	Chunks     int    `json:"chunks,omitempty"`     // of its project's contents in memory
	ChunkBytes int64  `json:"chunkBytes,omitempty"` // of these
}

// ErrNotHeld: the edge knows nothing of a host. It looks when it is asked for.
var ErrNotHeld = errors.New("this edge holds nothing of the host")

// ErrBucketAway: what would be dropped could not be read again.
var ErrBucketAway = errors.New("the bucket can't be read: what is dropped now would be gone until it can")

// HostState returns what the edge holds of a host, and reads nothing. The error
// is ErrNotHeld, or says what is wrong with the name.
func (e *Edge) HostState(host string) (*HostState, error) {
	name, err := site.NormalHost(host)
	if err != nil {
		return nil, err
	}
	s := &HostState{Host: name}
	r := e.resolver
	h, ok := r.hosts.peek(name)
	if !ok {
		if _, known := r.absent.peek(name); known {
			s.Held = "absent"
			return s, nil
		}
		if e.state.has(site.RouteKey(name)) {
			s.Held = "disk"
			return s, nil
		}
		return nil, ErrNotHeld
	}
	v := h.view.Load()
	s.Held, s.Stale = "memory", h.stale(v) || e.origin.down.Load()
	s.Project, s.Deployment, s.Environment = v.route.Project, v.route.Deployment, string(v.route.Environment)
	s.RedirectTo, s.Gone, s.Generation, s.PublishedAt = v.route.RedirectTo, v.route.Gone, v.route.Generation, v.route.PublishedAt
	if v.project != nil {
		s.ProjectState, s.Protected = string(v.project.record.value.Load().State), v.protection() != nil
		s.Chunks, s.ChunkBytes = e.chunks.memory.count(func(k chunkKey) bool { return k.project == v.project.salt })
	}
	if d := v.deployment; d.id != "" {
		if _, ok := e.manifests.cache.peek(d.key); ok {
			s.Manifest = "memory"
		} else if e.state.has(site.ManifestKey(d.project, d.id)) {
			s.Manifest = "disk"
		}
		s.Pages, _ = e.pages.count(func(k pageKey) bool { return k.deployment == d.key })
	}
	return s, nil
}

// Drop forgets a host, in memory and in the state directory, and its
// deployment's manifest, and has its project's record read anew: the next
// request reads all of it from the bucket. Contents stay: their names are their
// sha256. The error is ErrNotHeld or ErrBucketAway, or says what is wrong with
// the name.
func (e *Edge) Drop(host string) error {
	name, err := site.NormalHost(host)
	if err != nil {
		return err
	}
	if e.origin.down.Load() {
		return ErrBucketAway
	}
	r := e.resolver
	r.table.Lock()
	defer r.table.Unlock()
	h, held := r.hosts.peek(name)
	_, absent := r.absent.peek(name)
	if !held && !absent && !e.state.has(site.RouteKey(name)) {
		return ErrNotHeld
	}
	r.absent.remove(name)
	e.state.save(site.RouteKey(name), nil)
	if !held {
		return nil
	}
	r.hosts.remove(name)
	h.gone.Store(true)
	v := h.view.Load()
	if v.project != nil {
		// Other hosts have the same record, so it is not dropped.
		v.project.record.stale.Store(true)
		r.refresh.soon(v.project)
	}
	if d := v.deployment; d.id != "" {
		e.manifests.cache.remove(d.key)
		e.state.save(site.ManifestKey(d.project, d.id), nil)
	}
	return nil
}
