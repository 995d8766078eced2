package certstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/caddyserver/certmagic"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// Store writes a value. A certificate that was just obtained is not lost where
// the bucket is away: it is kept on disk, is what Load returns, and goes to the
// bucket later. Any other value is an error then, for the caller to try again.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	result, err := s.store(ctx, key, value)
	s.metrics.count(opStore, result)
	if err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	s.certificates.note(key, value)
	return nil
}

func (s *Storage) store(ctx context.Context, key string, value []byte) (Result, error) {
	k, err := valueKey(key)
	if err != nil {
		return ResultError, err
	}
	if len(value) > maxValue {
		return ResultError, fmt.Errorf("a value of %d bytes is longer than %d", len(value), maxValue)
	}
	sealed := s.secrets.seal(key, value)
	folder, isCertificate := site(key)
	obtained := isCertificate && s.holds(siteLock(folder))
	if obtained {
		// It stays wanted, even if the client that it was ordered for has left.
		ctx = context.WithoutCancel(ctx)
	}
	_, err = s.put(ctx, k, sealed, blob.PutOptions{})
	if err == nil {
		s.unkeep(key)
		if s.local != nil && lasting(key) {
			s.do(task{kind: taskCopy, key: key, sealed: sealed}) // at once: the bucket may go away now
		}
		return ResultOK, nil
	}
	if obtained && s.local != nil {
		if kerr := s.keep(ctx, key, k, sealed); kerr != nil {
			return ResultError, errors.Join(err, fmt.Errorf("keep it on disk: %w", kerr))
		}
		s.log.Warn("the bucket did not take a new certificate: it is kept on disk and goes there later", slog.String("key", key), slog.Any("error", err))
		return ResultKept, nil
	}
	return ResultError, err
}

// Load reads a value: from the bucket, or from this edge's copy where the
// bucket does not answer.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	value, result, err := s.load(ctx, key)
	s.metrics.count(opLoad, result)
	if err != nil {
		if result == ResultMissing {
			s.certificates.forget(key)
		}
		return nil, fmt.Errorf("load %s: %w", key, err)
	}
	s.certificates.note(key, value)
	return value, nil
}

func (s *Storage) load(ctx context.Context, key string) ([]byte, Result, error) {
	k, err := valueKey(key)
	if err != nil {
		return nil, ResultError, err
	}
	if s.isKept(key) {
		value, err := s.loadKept(ctx, key, k)
		if err == nil {
			return value, ResultKept, nil
		}
		if !errors.Is(err, fs.ErrNotExist) { // it may just have gone to the bucket
			s.log.Error("what is kept on disk is of no use: the bucket's value stands in for it", slog.String("key", key), slog.Any("error", err))
		}
	}
	sealed, etag, err := s.get(ctx, k)
	if errors.Is(err, fs.ErrNotExist) {
		s.later(task{kind: taskForget, key: key})
		return nil, ResultMissing, err
	}
	if err == nil {
		value, outdated, oerr := s.secrets.open(key, sealed)
		if oerr == nil {
			if outdated {
				s.metrics.outdated.Inc()
				s.later(task{kind: taskRewrite, key: key, sealed: s.secrets.seal(key, value), etag: etag})
			} else {
				s.later(task{kind: taskCopy, key: key, sealed: sealed})
			}
			return value, ResultOK, nil
		}
		err = oerr
	}
	if ctx.Err() != nil {
		return nil, ResultError, ctx.Err()
	}
	value, cerr := s.loadCopy(ctx, key, k)
	if cerr != nil {
		return nil, ResultError, err
	}
	if errors.Is(err, ErrSecret) || errors.Is(err, ErrDamaged) {
		s.log.Error("a value in the bucket is of no use: this edge's copy stands in for it", slog.String("key", key), slog.Any("error", err))
	}
	return value, ResultCopy, nil
}

func (s *Storage) loadCopy(ctx context.Context, key, k string) ([]byte, error) {
	if s.local == nil {
		return nil, fs.ErrNotExist
	}
	sealed, err := s.local.get(ctx, copiesPrefix+k)
	if err != nil {
		return nil, err
	}
	value, _, err := s.secrets.open(key, sealed)
	return value, err
}

func (s *Storage) loadKept(ctx context.Context, key, k string) ([]byte, error) {
	sealed, err := s.local.get(ctx, keptPrefix+k)
	if err != nil {
		return nil, err
	}
	value, _, err := s.secrets.open(key, sealed)
	return value, err
}

// Delete removes a value, or all below a folder. It is gone from this edge even
// where the bucket is away, so that nothing serves what was to be deleted.
func (s *Storage) Delete(ctx context.Context, key string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	err := s.delete(ctx, key)
	s.metrics.count(opDelete, resultOf(err, ResultOK))
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func (s *Storage) delete(ctx context.Context, key string) error {
	k, err := valueKey(key)
	if err != nil {
		return err
	}
	folder, err := folderKey(key)
	if err != nil {
		return err
	}
	s.certificates.forget(key)
	if s.local != nil {
		if err := s.deleteLocal(ctx, key, k, folder); err != nil {
			return err
		}
	}
	if err := s.writes.ask(); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	keys := []string{k}
	for info, err := range s.bucket.List(limited, folder, blob.ListOptions{}) {
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
		if name, ok := certmagicKey(info.Key); ok {
			s.certificates.forget(name)
		}
	}
	err = s.bucket.Delete(limited, keys...)
	s.writes.tell(ctx, err)
	return err
}

// Exists says whether there is a value or a folder. Where nobody can know, it
// says yes: no is what makes certmagic order a certificate.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return !errors.Is(err, fs.ErrNotExist)
}

// Stat describes a value or a folder.
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	if err := s.begin(); err != nil {
		return certmagic.KeyInfo{}, err
	}
	defer s.end()
	info, result, err := s.stat(ctx, key)
	s.metrics.count(opStat, result)
	if err != nil {
		return certmagic.KeyInfo{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return info, nil
}

func (s *Storage) stat(ctx context.Context, key string) (certmagic.KeyInfo, Result, error) {
	k, err := valueKey(key)
	if err != nil {
		return certmagic.KeyInfo{}, ResultError, err
	}
	if s.isKept(key) {
		if info, err := s.local.dir.Stat(ctx, keptPrefix+k); err == nil {
			return keyInfo(key, info), ResultKept, nil
		}
	}
	info, err := s.head(ctx, k)
	if err == nil {
		return keyInfo(key, info), ResultOK, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		if s.local != nil {
			if info, lerr := s.local.dir.Stat(ctx, copiesPrefix+k); lerr == nil {
				return keyInfo(key, info), ResultCopy, nil
			}
		}
		return certmagic.KeyInfo{}, ResultError, err
	}
	found, err := s.hasAny(ctx, key)
	switch {
	case err != nil:
		return certmagic.KeyInfo{}, ResultError, err
	case !found:
		return certmagic.KeyInfo{}, ResultMissing, fs.ErrNotExist
	}
	return certmagic.KeyInfo{Key: key}, ResultOK, nil
}

func keyInfo(key string, info blob.Info) certmagic.KeyInfo {
	return certmagic.KeyInfo{Key: key, Modified: info.Modified, Size: max(0, info.Size-overhead), IsTerminal: true}
}

func (s *Storage) head(ctx context.Context, k string) (info blob.Info, err error) {
	err = s.call(ctx, &s.reads, s.config.ReadTimeout, attempts, func(ctx context.Context) (err error) {
		info, err = s.bucket.Stat(ctx, k)
		return err
	})
	return info, err
}
