package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(7, 7))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestStream(t *testing.T) {
	content := randomBytes(5*site.ChunkSize + 1234)
	const offset, length = 100, 4*site.ChunkSize + 55
	for _, tt := range []struct {
		name  string
		play  func(ctx context.Context, n int, object *blob.Object) error
		reads int
		err   error
	}{
		{"it works", func(context.Context, int, *blob.Object) error { return nil }, 1, nil},
		{"it can't be opened at once", func(_ context.Context, n int, _ *blob.Object) error {
			if n < 2 {
				return errReset
			}
			return nil
		}, 3, nil},
		{"it can't be opened", func(context.Context, int, *blob.Object) error { return errReset }, 3, errReset},
		{"there is none", func(context.Context, int, *blob.Object) error { return fs.ErrNotExist }, 1, fs.ErrNotExist},
		{"it breaks off after each chunk", func(_ context.Context, _ int, o *blob.Object) error {
			o.Body = torn(o.Body, site.ChunkSize, errReset)
			return nil
		}, 5, nil},
		{"it ends too soon twice", func(_ context.Context, n int, o *blob.Object) error {
			if n < 2 {
				o.Body = torn(o.Body, 1000, io.EOF)
			}
			return nil
		}, 3, nil},
		{"it breaks off again and again", func(_ context.Context, _ int, o *blob.Object) error {
			o.Body = torn(o.Body, 1000, errReset)
			return nil
		}, 3, errReset},
		{"it drips", func(_ context.Context, _ int, o *blob.Object) error { o.Body = newDrip(o.Body); return nil }, 3, errSlow},
		{"it drips at first", func(_ context.Context, n int, o *blob.Object) error {
			if n == 0 {
				o.Body = newDrip(o.Body)
			}
			return nil
		}, 2, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &scripted{content: content, play: tt.play}
			inBubble(t, store, func(t *testing.T, o *origin) {
				start := time.Now()
				s, err := o.stream(t.Context(), "key", offset, length)
				var b []byte
				if err == nil {
					b, err = io.ReadAll(s)
					s.Close()
				}
				if !errors.Is(err, tt.err) || !bytes.Equal(b, content[offset:offset+len(b)]) || tt.err == nil && len(b) != length {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				if n := int(store.reads.Load()); n != tt.reads {
					t.Errorf("%d reads", n)
				}
				if took := time.Since(start); took > 11*time.Second {
					t.Errorf("it took %v", took)
				}
				if len(o.slots) != 0 {
					t.Error("a slot is still taken")
				}
				all := 0
				for r := range readResultCount {
					all += counted(o.metrics.originResults[kindChunk][r])
				}
				if all != 1 {
					t.Errorf("counted %d times", all)
				}
			})
		})
	}
}

// TestAStreamWaitsForItsReader: a reader that takes long between two reads is
// not the bucket's fault.
func TestAStreamWaitsForItsReader(t *testing.T) {
	content := randomBytes(site.ChunkSize)
	store := &scripted{content: content, play: func(context.Context, int, *blob.Object) error { return nil }}
	inBubble(t, store, func(t *testing.T, o *origin) {
		s, err := o.stream(t.Context(), "key", 0, site.ChunkSize)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for at := 0; at < len(content); at += 1 << 17 {
			time.Sleep(time.Minute)
			b := make([]byte, 1<<17)
			if _, err := io.ReadFull(s, b); err != nil || !bytes.Equal(b, content[at:at+len(b)]) {
				t.Fatalf("at %d: %v", at, err)
			}
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || store.reads.Load() != 1 {
			t.Errorf("%v after %d reads", err, store.reads.Load())
		}
	})
}

func TestAStreamThatIsLeft(t *testing.T) {
	store := &scripted{content: randomBytes(1000), play: func(context.Context, int, *blob.Object) error { return nil }}
	inBubble(t, store, func(t *testing.T, o *origin) {
		s, err := o.stream(t.Context(), "key", 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		s.Close()
		if _, err := s.Read(make([]byte, 1)); err == nil {
			t.Error("it can still be read")
		}
		if counted(o.metrics.originResults[kindChunk][readCanceled]) != 1 || len(o.slots) != 0 || o.kinds[kindChunk].breaker.now() != breakerClosed {
			t.Error("not counted as left, or a slot is taken")
		}
	})
}

func TestAHedgedStream(t *testing.T) {
	content := randomBytes(10_000)
	store := &scripted{content: content, play: func(ctx context.Context, n int, _ *blob.Object) error {
		if n == 60 {
			return waits(ctx, time.Second)
		}
		return waits(ctx, 20*time.Millisecond)
	}}
	inBubble(t, store, func(t *testing.T, o *origin) {
		for n := range 70 {
			start := time.Now()
			s, err := o.stream(t.Context(), "key", 0, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second) // the other one has long been cancelled
			b, err := io.ReadAll(s)
			s.Close()
			if err != nil || !bytes.Equal(b, content) || time.Since(start) > 5100*time.Millisecond {
				t.Fatalf("stream %d: %d bytes, %v in %v", n, len(b), err, time.Since(start))
			}
		}
		if sent, won := counted(o.metrics.hedgesSent[kindChunk]), counted(o.metrics.hedgesWon[kindChunk]); sent != 1 || won != 1 {
			t.Errorf("%d hedges were sent, %d won", sent, won)
		}
	})
}
