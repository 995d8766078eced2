package edge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// state keeps bucket objects in a directory, for a start while the bucket is
// away. It is a help, never the truth: what can't be written is only logged.
//
// A file is named by the sha256 of the bucket's name and the key. It holds the
// sha256 of the rest, then the object's bytes. It is written beside its place
// and renamed; one that a crash left torn does not match its own sha256 and
// counts as missing.
type state struct {
	dir     string // none: nothing is kept
	bucket  string // the bucket's identity: another's objects are not this one's
	writes  sync.Mutex
	pending map[string][]byte // by key; nil: remove
	wake    chan struct{}

	filter   *stateFilter // none where nothing is kept
	maxBytes atomic.Int64
}

const (
	stateSuffix = ".object"
	tempSuffix  = ".tmp"
	sweepEvery  = time.Hour
	// complainEvery is how often a failure is told at most: a disk that is full
	// fails every write.
	complainEvery = time.Minute
)

func openState(dir, bucket string) (*state, error) {
	s := &state{dir: dir, bucket: bucket, pending: map[string][]byte{}, wake: make(chan struct{}, 1)}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	s.filter = &stateFilter{}
	return s, nil
}

// name returns what the file of a key is called, less its suffix.
func (s *state) name(key string) [sha256.Size]byte {
	b := make([]byte, 0, 512) // on the stack, for nearly every bucket and key
	b = append(b, s.bucket...)
	b = append(b, 0)
	return sha256.Sum256(append(b, key...))
}

func (s *state) path(key string) string { return s.pathOf(s.name(key)) }

func (s *state) pathOf(name [sha256.Size]byte) string {
	return filepath.Join(s.dir, hex.EncodeToString(name[:])+stateSuffix)
}

// load returns an object that was kept, or fs.ErrNotExist.
func (s *state) load(key string) ([]byte, error) {
	if s.dir == "" {
		return nil, fs.ErrNotExist
	}
	s.writes.Lock()
	object, waiting := s.pending[key]
	s.writes.Unlock()
	if waiting {
		if object == nil {
			return nil, fs.ErrNotExist
		}
		return object, nil
	}
	path := s.path(key)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b[:sha256.Size]) {
		os.Remove(path)
		return nil, fmt.Errorf("state of %s is torn: %w", key, fs.ErrNotExist)
	}
	return b[sha256.Size:], nil
}

// has reports whether an object was kept, without reading it.
func (s *state) has(key string) bool {
	if s.dir == "" {
		return false
	}
	name := s.name(key)
	if !s.filter.mayHave(name) {
		return false
	}
	s.writes.Lock()
	object, waits := s.pending[key]
	s.writes.Unlock()
	if waits {
		return object != nil
	}
	_, err := os.Stat(s.pathOf(name))
	return err == nil
}

// save keeps an object; it is written later, by run. nil forgets it.
func (s *state) save(key string, object []byte) {
	if s.dir == "" {
		return
	}
	if name := s.name(key); object != nil {
		s.filter.add(name)
	} else if !s.filter.mayHave(name) {
		return // nothing to forget
	}
	s.writes.Lock()
	s.pending[key] = object
	s.writes.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes what was saved until the context ends, then what is left. inUse
// yields the keys of what must not count as old.
func (s *state) run(ctx context.Context, inUse iter.Seq[string], failed func(error)) {
	if s.dir == "" {
		return
	}
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	complaints := rate.Sometimes{First: 1, Interval: complainEvery}
	report := func(err error) {
		if err != nil {
			complaints.Do(func() { failed(err) })
		}
	}
	report(s.sweep(s.maxBytes.Load()))
	for {
		select {
		case <-s.wake:
			report(s.flush())
		case <-sweep.C:
			s.touch(inUse)
			report(s.sweep(s.maxBytes.Load()))
		case <-ctx.Done():
			report(s.flush())
			return
		}
	}
}

func (s *state) flush() error {
	s.writes.Lock()
	keys := make([]string, 0, len(s.pending))
	for key := range s.pending {
		keys = append(keys, key)
	}
	s.writes.Unlock()
	var errs []error
	for _, key := range keys {
		s.writes.Lock()
		object := s.pending[key]
		s.writes.Unlock()
		err := s.write(key, object)
		s.writes.Lock()
		if same := s.pending[key]; len(same) == len(object) && bytes.Equal(same, object) {
			delete(s.pending, key)
		}
		s.writes.Unlock()
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 3 {
		errs = append(errs[:3], fmt.Errorf("and %d more", len(errs)-3))
	}
	return errors.Join(errs...)
}

func (s *state) write(key string, object []byte) error {
	path := s.path(key)
	if object == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget state of %s: %w", key, err)
		}
		return nil
	}
	if err := s.replace(path, object); err != nil {
		return fmt.Errorf("keep state of %s: %w", key, err)
	}
	return nil
}

// replace writes a file beside its place and renames it. The name is its own:
// another edge may use the directory too.
func (s *state) replace(path string, object []byte) error {
	temp, err := os.CreateTemp(s.dir, "*"+tempSuffix)
	if errors.Is(err, fs.ErrNotExist) { // somebody removed the directory
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return err
		}
		temp, err = os.CreateTemp(s.dir, "*"+tempSuffix)
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(object)
	_, err = temp.Write(slices.Concat(sum[:], object))
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}

// touch makes what is in use young: it may have been written long ago.
func (s *state) touch(inUse iter.Seq[string]) {
	now := time.Now()
	for key := range inUse {
		// What was never kept, or is gone, stays so.
		_ = os.Chtimes(s.path(key), now, now)
	}
}

// sweep removes the oldest files until the rest has at most maxBytes.
func (s *state) sweep(maxBytes int64) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sweep state: %w", err)
	}
	type kept struct {
		name string
		size int64
		at   time.Time
	}
	var all []kept
	var total int64
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.HasSuffix(entry.Name(), tempSuffix) && time.Since(info.ModTime()) > sweepEvery {
			os.Remove(filepath.Join(s.dir, entry.Name())) // left by a crash
		}
		if !strings.HasSuffix(entry.Name(), stateSuffix) {
			continue
		}
		var name [sha256.Size]byte
		if base := strings.TrimSuffix(entry.Name(), stateSuffix); len(base) == hex.EncodedLen(len(name)) {
			if _, err := hex.Decode(name[:], []byte(base)); err == nil {
				s.filter.add(name)
			}
		}
		all = append(all, kept{entry.Name(), info.Size(), info.ModTime()})
		total += info.Size()
	}
	s.filter.complete.Store(true)
	slices.SortFunc(all, func(a, b kept) int { return a.at.Compare(b.at) })
	for _, k := range all {
		if total <= maxBytes {
			break
		}
		os.Remove(filepath.Join(s.dir, k.name))
		total -= k.size
	}
	return nil
}
