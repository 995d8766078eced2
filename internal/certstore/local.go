package certstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// local is this edge's directory, encrypted as the bucket is:
//
//	copies/<key>   what the bucket held when it was last read
//	kept/<key>     what the bucket has yet to take
type local struct{ dir *blob.Dir }

const (
	copiesPrefix = "copies/"
	keptPrefix   = "kept/"

	sweepEvery = time.Hour
	// A copy that is read again is written again once it is that old, so that
	// the sweep takes those that nobody reads.
	copyAge = 24 * time.Hour
)

// openLocal opens the directory of this bucket: another's copies are not its.
func (s *Storage) openLocal() error {
	s.mu.Lock() // the metrics may look already
	defer s.mu.Unlock()
	sum := sha256.Sum256([]byte(s.config.Identity))
	dir, err := blob.OpenDir(filepath.Join(s.config.LocalDir, hex.EncodeToString(sum[:8])), blob.DirOptions{})
	if err != nil {
		return err
	}
	for info, err := range dir.List(context.Background(), keptPrefix, blob.ListOptions{}) {
		if err != nil {
			return errors.Join(err, dir.Close())
		}
		if key, ok := certmagicKey(strings.TrimPrefix(info.Key, keptPrefix)); ok {
			s.kept[key] = true
		}
	}
	s.local = &local{dir}
	return nil
}

func (l *local) get(ctx context.Context, key string) ([]byte, error) {
	sealed, _, err := read(ctx, l.dir, key, "")
	return sealed, err
}

func (l *local) put(ctx context.Context, key string, sealed []byte) error {
	_, err := l.dir.Put(ctx, key, newReader(sealed), int64(len(sealed)), blob.PutOptions{})
	return err
}

// deleteLocal removes a value and all below it.
func (s *Storage) deleteLocal(ctx context.Context, key, k, folder string) error {
	s.mu.Lock()
	for name := range s.kept {
		if name == key || strings.HasPrefix(name, key+"/") {
			delete(s.kept, name)
		}
	}
	s.mu.Unlock()
	keys := []string{copiesPrefix + k, keptPrefix + k}
	for _, prefix := range []string{copiesPrefix, keptPrefix} {
		for info, err := range s.local.dir.List(ctx, prefix+folder, blob.ListOptions{}) {
			if err != nil {
				return err
			}
			keys = append(keys, info.Key)
		}
	}
	return s.local.dir.Delete(ctx, keys...)
}

// task is work that nobody waits for.
type task struct {
	kind   taskKind
	key    string
	sealed []byte
	etag   string
}

type taskKind uint8

const (
	taskCopy    taskKind = iota // write a copy
	taskForget                  // remove one
	taskRewrite                 // encrypt a value with the current secret
)

// later leaves a task to the worker. What it has no room for is done when the
// value is read next.
func (s *Storage) later(t task) {
	if s.local == nil && t.kind != taskRewrite || !lasting(t.key) {
		return
	}
	select {
	case s.tasks <- t:
	default:
	}
}

// work does tasks, sends what is kept to the bucket, and bounds the copies,
// until the storage closes; then it writes the copies that are left.
func (s *Storage) work() {
	push := time.NewTimer(0)
	sweep := time.NewTicker(sweepEvery)
	defer push.Stop()
	defer sweep.Stop()
	s.readCertificates()
	s.sweep()
	for {
		select {
		case t := <-s.tasks:
			s.do(t)
		case <-push.C:
			s.pushKept(s.ctx)
			push.Reset(jitter(pushEvery))
		case <-sweep.C:
			s.sweep()
		case <-s.ctx.Done():
			for {
				select {
				case t := <-s.tasks:
					if t.kind != taskRewrite {
						s.do(t)
					}
				default:
					return
				}
			}
		}
	}
}

func (s *Storage) do(t task) {
	k, err := valueKey(t.key)
	if err != nil {
		return // Load has said so
	}
	ctx := context.Background()
	switch t.kind {
	case taskForget:
		err = s.local.dir.Delete(ctx, copiesPrefix+k)
	case taskCopy:
		err = s.copy(ctx, k, t.sealed)
	case taskRewrite:
		_, err = s.put(s.ctx, k, t.sealed, blob.PutOptions{IfMatch: t.etag})
		if errors.Is(err, blob.ErrPrecondition) {
			return // it is another value by now
		}
		if err == nil && s.local != nil {
			err = s.copy(ctx, k, t.sealed)
		}
	}
	if err != nil {
		s.log.Warn("a certificate's copy could not be brought up to date", slog.String("key", t.key), slog.Any("error", err))
	}
}

func (s *Storage) copy(ctx context.Context, k string, sealed []byte) error {
	if info, err := s.local.dir.Stat(ctx, copiesPrefix+k); err == nil && time.Since(info.Modified) < copyAge {
		if have, err := s.local.get(ctx, copiesPrefix+k); err == nil && string(have) == string(sealed) {
			return nil
		}
	}
	return s.local.put(ctx, copiesPrefix+k, sealed)
}

// sweep removes the oldest copies until the rest has at most LocalBytes.
func (s *Storage) sweep() {
	if s.local == nil {
		return
	}
	var all []blob.Info
	var total int64
	for info, err := range s.local.dir.List(s.ctx, copiesPrefix, blob.ListOptions{}) {
		if err != nil {
			if s.ctx.Err() == nil {
				s.log.Warn("the copies of certificates could not be counted", slog.Any("error", err))
			}
			return
		}
		all = append(all, info)
		total += info.Size
	}
	slices.SortFunc(all, func(a, b blob.Info) int { return a.Modified.Compare(b.Modified) })
	for _, info := range all {
		if total <= s.config.LocalBytes {
			return
		}
		if err := s.local.dir.Delete(s.ctx, info.Key); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("an old copy of a certificate could not be removed", slog.Any("error", err))
			return
		}
		total -= info.Size
	}
}
