package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// SupabaseKeys implements [controlplane.AccountRows].
func (t *tx) SupabaseKeys(issuer string) ([]byte, error) {
	var set string
	err := t.row("SELECT keys FROM supabase_keys WHERE issuer = $1", issuer).Scan(&set)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of %s: %w", issuer, err)
	}
	return []byte(set), nil
}

// KeepSupabaseKeys implements [controlplane.AccountRows].
func (t *tx) KeepSupabaseKeys(issuer string, set []byte, now time.Time) error {
	_, err := t.exec(`INSERT INTO supabase_keys (issuer, keys, fetched_at) VALUES ($1, $2, $3)
		ON CONFLICT (issuer) DO UPDATE SET keys = excluded.keys, fetched_at = excluded.fetched_at`, issuer, string(set), micros(now))
	if err != nil {
		return fmt.Errorf("keep the keys of %s: %w", issuer, err)
	}
	return nil
}
