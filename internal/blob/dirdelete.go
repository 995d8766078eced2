package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Delete removes objects, and the directories that are empty then.
func (d *Dir) Delete(ctx context.Context, keys ...string) error {
	parents := map[string]bool{}
	for _, key := range keys {
		if err := d.deleteOne(ctx, key); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
		if i := strings.LastIndexByte(key, '/'); i >= 0 {
			parents[key[:i]] = true
		}
	}
	for dir := range parents {
		// A directory that is not empty stays; a writer whose directory goes
		// makes it again.
		for ; dir != "."; dir = path.Dir(dir) {
			if err := unix.Rmdir(d.objectPath(dir)); err != nil {
				break
			}
			d.durable.Delete(dir)
		}
	}
	return nil
}

func (d *Dir) deleteOne(ctx context.Context, key string) error {
	if err := checkRead(ctx, key); err != nil {
		return err
	}
	unlock, err := d.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := d.stat(key); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err = d.root.Remove(objectsDir + "/" + key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
