package certstore

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// pushEvery is the time between two tries to give the bucket what is kept.
const pushEvery = 5 * time.Second

// keep writes a value that the bucket did not take to disk.
func (s *Storage) keep(ctx context.Context, key, k string, sealed []byte) error {
	if err := s.local.put(ctx, keptPrefix+k, sealed); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[key] = true
	return nil
}

func (s *Storage) isKept(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[key]
}

// keptBelow returns the keys below a folder that are kept.
func (s *Storage) keptBelow(folder string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for key := range s.kept {
		if folder == "" || strings.HasPrefix(key, folder+"/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// unkeep forgets a kept value: the bucket has a newer one.
func (s *Storage) unkeep(key string) {
	s.mu.Lock()
	kept := s.kept[key]
	delete(s.kept, key)
	s.mu.Unlock()
	if k, err := valueKey(key); kept && err == nil {
		if err := s.local.dir.Delete(context.Background(), keptPrefix+k); err != nil {
			s.log.Warn("a kept certificate that is no longer needed could not be removed", slog.String("key", key), slog.Any("error", err))
		}
	}
}

// pushKept gives the bucket the certificates that are kept, each under the lock
// that ordering it takes.
func (s *Storage) pushKept(ctx context.Context) {
	folders := map[string]bool{}
	for _, key := range s.keptBelow("") {
		folders[path.Dir(key)] = true
	}
	for folder := range folders {
		won, err := s.tryLock(ctx, siteLock(folder))
		if err == nil && !won {
			continue // somebody renews it
		}
		if err == nil {
			err = errors.Join(s.push(ctx, folder), s.unlock(ctx, siteLock(folder)))
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Warn("a certificate that is kept on disk could not go to the bucket yet", slog.String("folder", folder), slog.Any("error", err))
			if !errors.Is(err, ErrSecret) && !errors.Is(err, ErrDamaged) {
				return // the bucket is still away
			}
		}
	}
}

// push gives the bucket one certificate's files, unless a better one is there:
// another edge may have obtained one in the meantime.
func (s *Storage) push(ctx context.Context, folder string) error {
	base := folder + "/" + path.Base(folder)
	keys := []string{base + ".key", base + ".crt", base + ".json"} // certmagic's order
	files := map[string][]byte{}
	for _, key := range keys {
		var value []byte
		var err error
		if k, kerr := valueKey(key); s.isKept(key) && kerr == nil {
			value, err = s.loadKept(ctx, key, k)
		} else {
			value, err = s.loadBucket(ctx, key)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", key, err)
		}
		files[key] = value
	}
	mine, ok := notAfter(files[base+".crt"], files[base+".key"])
	if !ok {
		s.log.Error("a certificate that was kept on disk is incomplete: it is dropped", slog.String("folder", folder))
		s.drop(folder)
		return nil
	}
	there := map[string][]byte{}
	for _, key := range keys[:2] {
		value, err := s.loadBucket(ctx, key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		there[key] = value
	}
	theirs, ok := notAfter(there[base+".crt"], there[base+".key"])
	if ok && !theirs.Before(mine) && !bytes.Equal(there[base+".crt"], files[base+".crt"]) {
		s.log.Info("another edge has obtained a certificate in the meantime: the one kept on disk is dropped", slog.String("folder", folder))
		s.drop(folder)
		return nil
	}
	for _, key := range slices.Concat(keys, s.keptBelow(folder)) {
		if err := s.pushOne(ctx, key); err != nil {
			return err
		}
	}
	s.log.Info("a certificate that was kept on disk is in the bucket", slog.String("folder", folder))
	return nil
}

func (s *Storage) pushOne(ctx context.Context, key string) error {
	if !s.isKept(key) {
		return nil
	}
	k, err := valueKey(key)
	if err != nil {
		return err
	}
	value, err := s.loadKept(ctx, key, k)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	sealed := s.secrets.seal(key, value) // it may have been kept since before the secret changed
	if _, err := s.put(ctx, k, sealed, blob.PutOptions{}); err != nil {
		return err
	}
	s.later(task{kind: taskCopy, key: key, sealed: sealed})
	s.unkeep(key)
	return nil
}

func (s *Storage) loadBucket(ctx context.Context, key string) ([]byte, error) {
	k, err := valueKey(key)
	if err != nil {
		return nil, err
	}
	sealed, _, err := s.get(ctx, k)
	if err != nil {
		return nil, err
	}
	value, _, err := s.secrets.open(key, sealed)
	return value, err
}

func (s *Storage) drop(folder string) {
	for _, key := range s.keptBelow(folder) {
		s.unkeep(key)
	}
}

// notAfter returns when a certificate ends; false where there is none, or it
// does not belong to the key.
func notAfter(certificate, key []byte) (time.Time, bool) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil || pair.Leaf == nil {
		return time.Time{}, false
	}
	return pair.Leaf.NotAfter, true
}
