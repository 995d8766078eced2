package store

import "time"

// LockIdle sets after which silence the server ends a connection of a lock,
// before the first one is taken.
func (s *Store) LockIdle(t time.Duration) error {
	s.postgres.locks.Close()
	var err error
	s.postgres.locks, err = lockPool(s.postgres.config, max(2, DefaultConnections/4), t)
	return err
}

// SetDirtyPage sets how many rows one statement marks dirty.
func SetDirtyPage(rows int) (undo func()) {
	was := dirtyPage
	dirtyPage = rows
	return func() { dirtyPage = was }
}
