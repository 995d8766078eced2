// Package testdir makes the directories of servers that run for tests. Those of a
// test process that was killed would stay for ever: nothing else removes them.
package testdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Make makes a directory of that name and more below parent; "" stands for where
// the system has temporary files. It removes those that processes made which are
// gone. Whoever makes one removes it.
func Make(parent, name string) (string, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	left, err := filepath.Glob(filepath.Join(parent, name+"-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range left {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), name+"-%d-", &pid); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir) // another one may be about it, too
		}
	}
	return os.MkdirTemp(parent, fmt.Sprintf("%s-%d-", name, os.Getpid()))
}
