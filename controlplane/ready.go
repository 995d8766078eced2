package controlplane

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Ready says of the parts that the service depends on whether they answer; nil is
// well. It asks all of them, or those that are named, at once: one that hangs
// says nothing of the others.
func (s *Service) Ready(ctx context.Context, only ...string) map[string]error {
	own := map[string]func(context.Context) error{"database": s.store.Ping, "logs": s.logs.Ping, "bucket": s.pingBucket}
	wanted := func(name string) bool { return len(only) == 0 || slices.Contains(only, name) }
	states := map[string]error{}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for name, ping := range own {
		if wanted(name) {
			asking.Go(func() {
				err := ping(ctx)
				mu.Lock()
				defer mu.Unlock()
				states[name] = err
			})
		}
	}
	if len(only) == 0 || slices.ContainsFunc(only, func(name string) bool { return own[name] == nil }) {
		asking.Go(func() {
			parts := s.stream.Parts(ctx)
			mu.Lock()
			defer mu.Unlock()
			for name, err := range parts {
				if wanted(name) {
					states[name] = err
				}
			}
		})
	}
	asking.Wait()
	return states
}

func (s *Service) pingBucket(ctx context.Context) error {
	_, err := s.bucket.Stat(ctx, site.HeadKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was published yet
	}
	return err
}
