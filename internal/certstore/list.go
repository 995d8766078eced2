package certstore

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// List returns the keys below a folder: what is in it or, if recursive, all the
// folders and values below it. fs.ErrNotExist where there is none. While the
// bucket is away it fails: this edge's copies are not all there is.
func (s *Storage) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	keys, err := s.list(ctx, folder, recursive)
	s.metrics.count(opList, resultOf(err, ResultOK))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	return keys, nil
}

func (s *Storage) list(ctx context.Context, folder string, recursive bool) ([]string, error) {
	folder = strings.Trim(folder, "/")
	found := map[string]bool{}
	for name, err := range s.below(ctx, folder) {
		if err != nil {
			return nil, err
		}
		for key := range parents(folder, name) {
			if found[key] = true; !recursive {
				break
			}
		}
	}
	if len(found) == 0 && folder == "" {
		return nil, fs.ErrNotExist
	}
	if len(found) == 0 {
		// A value has nothing below it, and is no error.
		if _, _, err := s.stat(ctx, folder); err != nil {
			return nil, err
		}
	}
	keys := make([]string, 0, len(found))
	for key := range found {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, nil
}

// parents yields the folders between a folder and a key below it, outermost
// first, and then the key.
func parents(folder, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		at := 0
		if folder != "" {
			at = len(folder) + 1
		}
		for {
			n := strings.IndexByte(name[at:], '/')
			if n < 0 {
				yield(name)
				return
			}
			if !yield(name[:at+n]) {
				return
			}
			at += n + 1
		}
	}
}

// below yields the certmagic keys of all values below a folder.
func (s *Storage) below(caller context.Context, folder string) func(yield func(string, error) bool) {
	return func(yield func(string, error) bool) {
		prefix, err := folderKey(folder)
		if err == nil {
			err = s.reads.ask()
		}
		if err != nil {
			yield("", err)
			return
		}
		for _, name := range s.keptBelow(folder) {
			if !yield(name, nil) {
				return
			}
		}
		ctx, cancel := context.WithTimeout(caller, listTimeout)
		defer cancel()
		for info, err := range s.bucket.List(ctx, prefix, blob.ListOptions{}) {
			s.reads.tell(caller, err)
			if err != nil {
				yield("", err)
				return
			}
			if name, ok := certmagicKey(info.Key); ok && !yield(name, nil) {
				return
			}
		}
		s.reads.tell(caller, nil)
	}
}

// hasAny says whether there is anything below a folder.
func (s *Storage) hasAny(ctx context.Context, folder string) (found bool, err error) {
	prefix, err := folderKey(folder)
	if err != nil || len(s.keptBelow(folder)) > 0 {
		return err == nil, err
	}
	err = s.call(ctx, &s.reads, s.config.ReadTimeout, attempts, func(ctx context.Context) error {
		for _, err := range s.bucket.List(ctx, prefix, blob.ListOptions{}) {
			found = err == nil
			return err
		}
		return nil
	})
	return found, err
}
