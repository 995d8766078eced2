package blob

import "golang.org/x/sys/unix"

// syncFS writes back everything of the file system that fd is on.
func syncFS(fd int) error { return unix.Syncfs(fd) }
