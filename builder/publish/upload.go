package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// roundsWithoutProgress is how often the control plane may name the same
// missing blobs again, in vain.
const roundsWithoutProgress = 4

// upload asks what is missing and sends it, until nothing is. A URL that has
// expired, or a blob that could not be sent, is simply asked for again.
func (r *run) upload(ctx context.Context, meta site.Meta, immutable *immutables) error {
	var last error // of a blob that could not be sent
	idle, again := 0, false
	r.report.begin(StepUpload, 0, 0)
	for first := true; ; first = false {
		var answer site.UploadsResponse
		err := r.client.Do(ctx, Call{Method: http.MethodPost, Path: r.path("uploads"), Out: &answer, Timeout: 2 * time.Minute})
		if err != nil {
			return err
		}
		if len(answer.Uploads) == 0 {
			r.report.end()
			return nil
		}
		if first {
			r.report.begin(StepUpload, max(answer.Missing, len(answer.Uploads)), r.missingBytes(answer))
		}
		if r.forgetLost(answer.Uploads) {
			if again {
				return errors.New("the control plane lacks blobs that it said it knew; deploy again")
			}
			again = true
			if err := r.compress(ctx); err != nil {
				return err
			}
			if err := r.handIn(ctx, meta, immutable); err != nil {
				return err
			}
			r.report.begin(StepUpload, answer.Missing, r.missingBytes(answer))
			continue
		}
		sent, err := r.send(ctx, answer.Uploads, &last)
		if err != nil {
			return err
		}
		if sent > 0 {
			idle = 0
			continue
		}
		if idle++; idle == roundsWithoutProgress {
			return fmt.Errorf("%d blobs can't be uploaded: %w", answer.Missing, last)
		}
		if err := sleep(ctx, r.client.retry.Least<<idle); err != nil {
			return err
		}
	}
}

// missingBytes is how much is to be sent, as far as it can be told: an answer
// lists the first thousand blobs only.
func (r *run) missingBytes(answer site.UploadsResponse) (bytes int64) {
	if answer.Missing <= len(answer.Uploads) {
		for _, u := range answer.Uploads {
			bytes += u.Size
		}
		return bytes
	}
	for hash, f := range r.bodies {
		if _, ok := r.known[hash]; !ok {
			bytes += f.size
		}
	}
	for _, v := range r.variants {
		bytes += v.Size
	}
	return bytes
}

// forgetLost looks for blobs that nobody has any more: variants of files that
// the control plane knew a moment ago. Those files are then compressed anew.
func (r *run) forgetLost(uploads []site.Upload) bool {
	lost := map[site.Hash]bool{}
	for _, u := range uploads {
		if r.bodies[u.SHA256] == nil && r.variants[u.SHA256] == nil {
			lost[u.SHA256] = true
		}
	}
	if len(lost) == 0 {
		return false
	}
	for hash, known := range r.known {
		for _, v := range known.Variants {
			if lost[v.SHA256] {
				delete(r.known, hash)
			}
		}
	}
	return true
}

// send uploads many blobs at once. It returns how many arrived; what failed for
// a while only is left for the next round.
func (r *run) send(ctx context.Context, uploads []site.Upload, last *error) (sent int, err error) {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(uploadsAtOnce)
	for _, u := range uploads {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			err := r.put(gctx, u)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				sent++
				r.result.UploadedBlobs++
				r.result.UploadedBytes += u.Size
				r.report.add(1, u.Size)
				return nil
			}
			*last = err
			if passing(err) && gctx.Err() == nil {
				return nil
			}
			return err
		})
	}
	err = g.Wait()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return sent, err
}

// passing reports whether an upload that failed may succeed with a new URL, or
// later.
func passing(err error) bool {
	var changed *ChangedError
	if errors.As(err, &changed) {
		return false
	}
	var api *APIError
	if !errors.As(err, &api) {
		return true
	}
	switch api.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone,
		http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return api.Status >= 500
}
