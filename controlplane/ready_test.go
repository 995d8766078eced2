package controlplane_test

import (
	"context"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// hangingBucket never answers.
type hangingBucket struct {
	blob.Store
	asked chan struct{}
}

func (b hangingBucket) Stat(ctx context.Context, _ string) (blob.Info, error) {
	select {
	case b.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return blob.Info{}, ctx.Err()
}

func TestAPartThatHangsSaysNothingOfOthers(t *testing.T) {
	bucket := hangingBucket{asked: make(chan struct{}, 1)}
	p := newPlane(t, func(p *plane) {
		bucket.Store = p.bucket
		p.bucket = bucket
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	whole := make(chan map[string]error)
	go func() { whole <- p.Ready(ctx) }()
	<-bucket.asked
	// It hangs; who does not ask for the bucket does not wait for it.
	if states := p.Ready(t.Context(), "database", "logs"); len(states) != 2 || states["database"] != nil || states["logs"] != nil {
		t.Errorf("two parts: %v", states)
	}
	cancel()
	if states := <-whole; len(states) != 3 || states["bucket"] == nil {
		t.Errorf("all parts: %v", states)
	}
	if states := p.Ready(t.Context(), "kafka"); len(states) != 0 {
		t.Errorf("a part that is not there: %v", states)
	}
}
