package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// descriptors are the files that a child inherits, from number 3 on.
type descriptors struct{ list []*os.File }

func (d *descriptors) add(f *os.File) int {
	d.list = append(d.list, f)
	return 2 + len(d.list)
}

// reader adds a pipe's end to write to, and returns the one to read from.
func (d *descriptors) reader() (*os.File, error) {
	r, w, err := os.Pipe()
	if err == nil {
		d.add(w)
	}
	return r, err
}

// writer adds a pipe's end to read from, and returns the one to write to.
func (d *descriptors) writer() (*os.File, error) {
	r, w, err := os.Pipe()
	if err == nil {
		d.add(r)
	}
	return w, err
}

// again adds a second descriptor of a file.
func (d *descriptors) again(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var number int
	var dupErr error
	if err := raw.Control(func(fd uintptr) { number, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return err
	}
	if dupErr != nil {
		return dupErr
	}
	d.add(os.NewFile(uintptr(number), f.Name()))
	return nil
}

// data adds a file in memory that holds the text.
func (d *descriptors) data(name, text string) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := io.Copy(f, bytes.NewReader([]byte(text))); err != nil {
		f.Close()
		return 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close()
		return 0, err
	}
	return d.add(f), nil
}

// keepInherited keeps from commands the descriptors that the builder was itself
// started with. Those that it opened are kept back by Go.
func keepInherited() error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list the open files: %w", err)
	}
	for _, entry := range open {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

func (d *descriptors) close() {
	for _, f := range d.list {
		f.Close()
	}
}
