package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// stream opens length bytes of a blob from offset on, however many chunks that
// is, by one read of the bucket, and delivers them as they come. It holds one
// of the slots for reads of chunks until it is closed.
//
// A read that breaks off, or brings too little for too long, is begun again
// where it was: a blob never changes. Time that the caller spends between two
// calls of Read does not count. The bytes are not verified.
func (o *origin) stream(ctx context.Context, key string, offset, length int64) (*stream, error) {
	s := &stream{o: o, want: want{kind: kindChunk, key: key, patience: o.attemptTime(ctx)}, at: offset, end: offset + length, since: offset}
	waiting, cancel := context.WithTimeout(ctx, o.pace.Load().ReadTimeout)
	defer cancel()
	var err error
	if s.free, err = o.slot(waiting, kindChunk); err != nil {
		return nil, o.finished(waiting, s.want, err)
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	start := time.Now()
	err = s.open(originTries)
	o.metrics.originReads[kindChunk].Observe(time.Since(start).Seconds())
	if err != nil {
		err = o.finished(s.ctx, s.want, err)
		s.cancel()
		s.free()
		return nil, err
	}
	return s, nil
}

// stream is a long read that is under way. It is used by one goroutine.
type stream struct {
	o       *origin
	want    want
	ctx     context.Context
	cancel  context.CancelFunc
	free    func()
	at, end int64
	attempt *attempt
	done    context.CancelFunc // of the attempt
	since   int64              // where the last attempt that was forgiven began
	broken  int                // attempts that broke off since then
	err     error
	counted bool
}

// open begins, or begins again, where the stream is.
func (s *stream) open(tries int) error {
	type opened struct {
		attempt *attempt
		done    context.CancelFunc
	}
	w := s.want
	w.tries = tries
	w.opts = blob.GetOptions{Offset: s.at, Length: s.end - s.at}
	got, err := retried(s.ctx, s.o, w, func(ctx context.Context) (opened, error) {
		return hedged(ctx, s.o, w.kind, &s.o.kinds[w.kind].opening, func(ctx context.Context, done context.CancelFunc) (opened, error) {
			a, err := s.o.open(ctx, w)
			if err != nil {
				done()
				return opened{}, err
			}
			return opened{a, done}, nil
		}, func(late opened) {
			late.attempt.Close()
			late.done()
		})
	})
	if err == nil {
		s.attempt, s.done = got.attempt, got.done
	}
	return err
}

// Read delivers the next bytes: io.EOF after the last one, and no sooner.
func (s *stream) Read(p []byte) (int, error) {
	for s.err == nil {
		if s.at == s.end {
			_ = s.finish(nil)
			return 0, io.EOF
		}
		n, err := s.attempt.Read(p[:min(int64(len(p)), s.end-s.at)])
		s.at += int64(n)
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if err != nil {
			s.resume(short(err))
		}
	}
	return 0, s.err
}

// resume opens the stream anew after it broke off; not more often than a read
// is tried for each chunk's worth of bytes.
func (s *stream) resume(err error) {
	s.stop()
	if s.at-s.since >= site.ChunkSize {
		s.since, s.broken = s.at, 0
	}
	if s.broken++; errors.Is(s.ctx.Err(), context.Canceled) {
		s.o.kinds[kindChunk].breaker.left()
	} else {
		s.o.kinds[kindChunk].breaker.failed(time.Now(), s.o.random(), s.o.down.Load())
	}
	if s.broken < originTries && s.o.pause(s.ctx, s.broken) {
		s.o.metrics.retries[kindChunk].Inc()
		if err = s.open(1); err == nil {
			return
		}
	}
	s.err = s.finish(fmt.Errorf("broke off at %d of %d: %w", s.at, s.end, err))
}

// Close ends the stream.
func (s *stream) Close() error {
	s.stop()
	if s.at < s.end && s.err == nil {
		s.cancel()
		_ = s.finish(context.Canceled) // nobody wants the rest
		s.err = errClosed
	}
	s.cancel()
	if s.free != nil {
		s.free()
		s.free = nil
	}
	return nil
}

func (s *stream) stop() {
	if s.attempt != nil {
		s.attempt.Close()
		s.done()
		s.attempt = nil
	}
}

// finish counts the stream once.
func (s *stream) finish(err error) error {
	if s.counted {
		return err
	}
	s.counted = true
	return s.o.finished(s.ctx, s.want, err)
}
