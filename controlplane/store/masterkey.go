package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// ErrMasterKey says that a database's secrets are sealed with another key.
var ErrMasterKey = errors.New("the database belongs to another master key")

// BindMasterKey ties the database to a master key by its fingerprint at the
// first call, and is [ErrMasterKey] where it is tied to another one.
func (s *Store) BindMasterKey(ctx context.Context, fingerprint string) error {
	have, err := s.fact(ctx, "master_key")
	if err == nil && have == "" {
		err = s.Update(ctx, func(rows controlplane.Tx) error {
			t := rows.(*tx)
			if _, err := t.exec("INSERT INTO facts (name, value) VALUES ('master_key', $1) ON CONFLICT (name) DO NOTHING", fingerprint); err != nil {
				return err
			}
			return t.row("SELECT value FROM facts WHERE name = 'master_key'").Scan(&have)
		})
	}
	if err != nil {
		return fmt.Errorf("compare the master key: %w", err)
	}
	return compareKeys(have, fingerprint)
}

// CheckMasterKey is [ErrMasterKey] where the database is tied to another key.
func (st *Status) CheckMasterKey(fingerprint string) error {
	if st.MasterKey == "" {
		return nil
	}
	return compareKeys(st.MasterKey, fingerprint)
}

func compareKeys(have, fingerprint string) error {
	if subtle.ConstantTimeCompare([]byte(have), []byte(fingerprint)) != 1 {
		return fmt.Errorf("%w: its fingerprint there is %s, this key's is %s: start with the key that the database was made with, without it no secret can be read", ErrMasterKey, have, fingerprint)
	}
	return nil
}

// SetMasterKey implements [controlplane.TableRows].
func (t *tx) SetMasterKey(fingerprint string) error {
	_, err := t.exec("INSERT INTO facts (name, value) VALUES ('master_key', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value", fingerprint)
	if err != nil {
		return fmt.Errorf("tie the database to the master key: %w", err)
	}
	return nil
}

// fact reads what is true of the whole database; "": nothing is said.
func (s *Store) fact(ctx context.Context, name string) (value string, err error) {
	err = s.View(ctx, func(rows controlplane.Tx) error {
		value = ""
		err := rows.(*tx).row("SELECT value FROM facts WHERE name = $1", name).Scan(&value)
		if isNoRows(err) {
			return nil
		}
		return err
	})
	return value, err
}
