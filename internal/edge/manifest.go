package edge

import (
	"context"
	"fmt"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// deployment names one deployment of one project.
type deployment struct {
	project string
	id      string
	key     deploymentKey
}

// deploymentKey stands for a deployment in keys of caches: shorter than its
// names, and always as long.
type deploymentKey [16]byte

func newDeployment(project, id string) deployment {
	sum := site.HashOf([]byte(site.ManifestKey(project, id)))
	return deployment{project, id, deploymentKey(sum[:16])}
}

// manifests holds decoded manifests.
type manifests struct {
	cache   *cache[deploymentKey, *site.Manifest]
	flights *flights[deploymentKey, loaded[*site.Manifest]]
	origin  *origin
	state   *state
	ctx     context.Context
	slots   chan struct{} // decodings at once, and so their memory
}

// loaded is a value and how far away it was.
type loaded[T any] struct {
	value T
	from  Result
}

// get returns a deployment's manifest: from memory, else from the state
// directory, else from the bucket.
func (ms *manifests) get(ctx context.Context, d deployment) (*site.Manifest, Result, error) {
	if m, ok := ms.cache.get(d.key); ok {
		return m, ResultMemory, nil
	}
	l, err := ms.flights.do(ctx, d.key, func() (loaded[*site.Manifest], error) { return ms.load(d) })
	return l.value, l.from, err
}

// ahead begins to read a manifest that will be asked for in a moment.
func (ms *manifests) ahead(d deployment) {
	if _, ok := ms.cache.peek(d.key); !ok {
		// Closed, or failed: the one who asks for it will see.
		_, _ = ms.flights.begin(d.key, func() (loaded[*site.Manifest], error) { return ms.load(d) })
	}
}

func (ms *manifests) load(d deployment) (loaded[*site.Manifest], error) {
	select {
	case ms.slots <- struct{}{}:
		defer func() { <-ms.slots }()
	case <-ms.ctx.Done():
		return loaded[*site.Manifest]{}, errClosed
	}
	if m, ok := ms.cache.get(d.key); ok {
		return loaded[*site.Manifest]{m, ResultMemory}, nil // another flight has just landed
	}
	key := site.ManifestKey(d.project, d.id)
	if encoded, err := ms.state.load(key); err == nil {
		if m, err := site.DecodeManifest(encoded); err == nil {
			ms.cache.add(d.key, m, m.MemorySize())
			return loaded[*site.Manifest]{m, ResultDisk}, nil
		}
	}
	encoded, _, err := ms.origin.read(ms.ctx, kindManifest, key, "", site.MaxManifestSize)
	if err != nil {
		return loaded[*site.Manifest]{}, fmt.Errorf("read %s: %w", key, err)
	}
	m, err := site.DecodeManifest(encoded)
	if err != nil {
		return loaded[*site.Manifest]{}, fmt.Errorf("read %s: %w", key, err)
	}
	ms.cache.add(d.key, m, m.MemorySize())
	ms.state.save(key, encoded)
	return loaded[*site.Manifest]{m, ResultOrigin}, nil
}
