package source

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/zstd"
)

func (u *unpacker) gzip(in io.Reader) error {
	r, err := gzip.NewReader(in)
	if err != nil {
		return errKind
	}
	defer r.Close()
	return u.tar(r)
}

// zstdMemory bounds what an archive can make its decoder hold.
const zstdMemory = 128 << 20

func (u *unpacker) zstd(in io.Reader) error {
	r, err := zstd.NewReader(in, zstd.WithDecoderMaxMemory(zstdMemory), zstd.WithDecoderMaxWindow(zstdMemory), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return errKind
	}
	defer r.Close()
	return u.tar(r)
}

func (u *unpacker) tar(in io.Reader) error {
	// What a reader skips counts, too: headers can announce what is not there.
	r := tar.NewReader(&counted{in: in, u: u})
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("it is damaged: %w", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // git archive writes one
		}
		name, err := u.name(h.Name)
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = u.dir(name)
		case tar.TypeReg:
			err = u.file(name, h.FileInfo().Mode(), r)
		case tar.TypeSymlink:
			err = u.link(name, h.Linkname)
		case tar.TypeLink:
			err = fmt.Errorf("entry %q: hard links are not allowed", name)
		case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
			err = fmt.Errorf("entry %q: devices and pipes are not allowed", name)
		default:
			err = fmt.Errorf("entry %q: entries of the type %q are not allowed", name, h.Typeflag)
		}
		if err != nil {
			return err
		}
	}
}

// counted ends an unpacked stream that goes on for too long.
type counted struct {
	in   io.Reader
	u    *unpacker
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	// Besides its files a tar has headers of at most a few KiB an entry.
	if c.read += int64(n); c.read > c.u.limits.TotalBytes+int64(c.u.limits.Files)*8192 {
		return n, fmt.Errorf("it is larger than %s when it is unpacked", megabytes(c.u.limits.TotalBytes))
	}
	if err == nil {
		err = c.u.ctx.Err()
	}
	return n, err
}

func (u *unpacker) zip(in *os.File) error {
	r, err := zip.NewReader(in, u.packed)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return fmt.Errorf("it is damaged: %w", err)
	}
	if len(r.File) > u.limits.Files {
		return fmt.Errorf("it has more than %d entries", u.limits.Files)
	}
	for _, f := range r.File {
		name, err := u.name(f.Name)
		if err != nil {
			return err
		}
		switch mode := f.Mode(); {
		case mode.IsDir():
			err = u.dir(name)
		case mode.IsRegular():
			err = u.zipped(f, func(r io.Reader) error { return u.file(name, mode, r) })
		case mode&fs.ModeSymlink != 0:
			err = u.zipped(f, func(r io.Reader) error {
				target, err := io.ReadAll(io.LimitReader(r, maxName+1))
				if err != nil {
					return fmt.Errorf("entry %q: %w", name, err)
				}
				return u.link(name, string(target))
			})
		default:
			err = fmt.Errorf("entry %q: devices and pipes are not allowed", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipped(f *zip.File, take func(io.Reader) error) error {
	if f.Flags&1 != 0 {
		return fmt.Errorf("entry %q is encrypted", f.Name)
	}
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("entry %q: %w", f.Name, err)
	}
	defer r.Close()
	return take(r)
}
