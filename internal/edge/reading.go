package edge

import (
	"context"
	"os"
)

// reading is how one client goes through the chunks of a variant, one after the
// other.
type reading struct {
	chunks *chunks
	page   *page
	from   *variant
	last   int // the last chunk that is wanted
	run    int // chunks that are fetched at once
	begun  int // the last chunk that was begun to be fetched
}

func (c *chunks) reading(g *page, v *variant, last int) reading {
	return reading{c, g, v, last, int(c.runs.Load()), -1}
}

// get returns the verified bytes of a chunk, or an open file that holds just
// them and that the caller closes.
func (r *reading) get(ctx context.Context, n int) ([]byte, *os.File, error) {
	key := r.from.chunkKey(r.page, n)
	if b, ok := r.chunks.held(r.from).get(key); ok {
		return b, nil, nil
	}
	if r.chunks.isLarge(r.from) {
		if f := r.chunks.disk.open(key); f != nil {
			return nil, f, nil
		}
	}
	fl, err := r.begin(n)
	if err != nil {
		return nil, nil, err
	}
	l, err := fl.wait(ctx)
	return l.value, nil, err
}

// ahead begins to fetch what is wanted after chunk n, which is being sent: the
// next run in the middle of this one.
func (r *reading) ahead(n int) {
	for _, next := range [...]int{n + 1, n + r.run/2} {
		if n < next && next <= r.last && r.chunks.where(r.page, r.from, next) == ResultOrigin {
			// Closed, or failed: the one who asks for it will see.
			_, _ = r.begin(next)
		}
	}
}

func (r *reading) begin(n int) (*flight[loaded[[]byte]], error) {
	fl, begun, err := r.chunks.begin(r.page, r.from, n, min(r.run, r.last-n+1))
	if begun > 0 {
		if n <= r.begun {
			// It was here, and is lost again: too much is read ahead for what may
			// be held.
			r.run = max(r.run/2, 1)
		}
		r.begun = max(r.begun, n+begun-1)
	}
	return fl, err
}
