package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Sync makes everything durable that uploads have written.
func (d *Dir) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sync bucket: %w", err)
	}
	f, err := d.root.Open(objectsDir)
	if err != nil {
		return fmt.Errorf("sync bucket: %w", err)
	}
	defer f.Close()
	if err := ignoringEINTR(func() error { return syncFS(int(f.Fd())) }); err != nil {
		return fmt.Errorf("sync bucket: %w", err)
	}
	return nil
}

// syncParents makes the entry of an object durable, and those of its
// directories.
func (d *Dir) syncParents(key string) error {
	dir := path.Dir(key)
	if err := d.syncDir(dir); err != nil {
		return err
	}
	for ; dir != "."; dir = path.Dir(dir) {
		if _, ok := d.durable.Load(dir); ok {
			return nil
		}
		if err := d.syncDir(path.Dir(dir)); err != nil {
			return err
		}
		d.durable.Store(dir, true)
	}
	return nil
}

// syncDir writes back a directory's entries. One that is gone had its objects
// deleted after they were written.
func (d *Dir) syncDir(dir string) error {
	f, err := d.root.Open(path.Join(objectsDir, dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
