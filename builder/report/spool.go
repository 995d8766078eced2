package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// spool is a queue of lines in a file: what the control plane has not taken yet
// costs no memory. It is empty again whenever everything has been taken.
type spool struct {
	mu      sync.Mutex
	file    *os.File
	limit   int64
	read    int64 // where the first line that is not taken begins
	written int64
}

var errSpoolFull = errors.New("the spool is full")

func newSpool(path string, limit int64) (*spool, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the spool of events: %w", err)
	}
	// Only this process needs it, however it ends.
	if err := os.Remove(path); err != nil {
		file.Close()
		return nil, fmt.Errorf("make the spool of events: %w", err)
	}
	return &spool{file: file, limit: limit}, nil
}

// put adds a line, which holds no line break. Over the limit it fails with
// errSpoolFull, unless it must not.
func (s *spool) put(line []byte, must bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !must && s.written+int64(len(line)) > s.limit {
		return errSpoolFull
	}
	if _, err := s.file.WriteAt(append(line, '\n'), s.written); err != nil {
		return fmt.Errorf("write to the spool of events: %w", err)
	}
	s.written += int64(len(line)) + 1
	return nil
}

// peek returns lines from the first one on: at least one, where there is any,
// then as many as fit in size bytes. Taken says where they end.
func (s *spool) peek(size int64) (lines [][]byte, taken int64, err error) {
	s.mu.Lock()
	from, to := s.read, s.written
	s.mu.Unlock()
	in := bufio.NewReaderSize(io.NewSectionReader(s.file, from, to-from), 64<<10)
	taken = from
	for taken < to {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil, 0, fmt.Errorf("read the spool of events: %w", err)
		}
		if len(lines) > 0 && taken+int64(len(line))-from > size {
			break
		}
		lines = append(lines, line[:len(line)-1])
		taken += int64(len(line))
	}
	return lines, taken, nil
}

// drop forgets the lines before taken.
func (s *spool) drop(taken int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = taken
	if s.read < s.written {
		return nil
	}
	s.read, s.written = 0, 0
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("empty the spool of events: %w", err)
	}
	return nil
}

func (s *spool) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read == s.written
}
