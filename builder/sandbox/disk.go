package sandbox

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// diskUsage adds up the space that files take, until it is past the limit. A
// file with several names, as pnpm makes them, counts once.
type diskUsage struct {
	bytes, limit int64
	seen         map[inode]bool
}

type inode struct{ device, number uint64 }

// add opens each directory relative to the one above and follows no link, so
// that a command which swaps a folder for a link leads nowhere.
func (u *diskUsage) add(parent int, name string) error {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(parent, name, flags, 0)
	if errors.Is(err, unix.EACCES) {
		// Its owner could hide anything in a folder that can't be read.
		if err = unlockFolder(parent, name); err == nil {
			fd, err = unix.Openat(parent, name, flags, 0)
		}
	}
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			var stat unix.Stat_t
			if unix.Fstatat(fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW) != nil {
				continue // removed meanwhile
			}
			if stat.Nlink > 1 && stat.Mode&unix.S_IFMT != unix.S_IFDIR {
				key := inode{stat.Dev, stat.Ino}
				if u.seen[key] {
					continue
				}
				u.seen[key] = true
			}
			const blockBytes = 512
			if u.bytes += stat.Blocks * blockBytes; u.bytes > u.limit {
				return nil
			}
			if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
				if err := u.add(fd, name); err != nil && !errors.Is(err, unix.ENOENT) {
					slog.Debug("measure a workspace", "directory", name, "error", err)
				}
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// RemoveAll removes a directory that commands have written to, folders that
// they made unreadable for their own user included.
func RemoveAll(dir string) error {
	if err := os.RemoveAll(dir); !errors.Is(err, os.ErrPermission) {
		return err
	}
	unlock(unix.AT_FDCWD, dir)
	return os.RemoveAll(dir)
}

// unlockFolder gives the owner back the rights on one folder. chmod follows
// links, and a command may put one in the folder's place: so by descriptor.
func unlockFolder(parent int, name string) error {
	fd, err := unix.Openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o700)
}

// unlock gives the owner back the rights on every folder of a tree.
func unlock(parent int, name string) {
	_ = unlockFolder(parent, name)
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	entries, _ := dir.ReadDir(-1)
	for _, entry := range entries {
		if entry.IsDir() {
			unlock(fd, entry.Name())
		}
	}
}
