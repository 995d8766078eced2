package store

import (
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func sessionColumns(s *controlplane.SessionRow) []column {
	return []column{
		{"hash", &s.Hash},
		{"user_id", &s.UserID},
		{"created_at", instant{&s.CreatedAt}},
		{"expires_at", instant{&s.ExpiresAt}},
		{"supabase", flag{&s.Supabase}},
	}
}

// PutSession implements [controlplane.AccountRows].
func (t *tx) PutSession(s *controlplane.SessionRow) error {
	columns := sessionColumns(s)
	_, err := t.exec(insert("sessions", columns)+" ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at", values(columns)...)
	return err
}

// Session implements [controlplane.AccountRows].
func (t *tx) Session(hash string) (*controlplane.SessionRow, error) {
	s := &controlplane.SessionRow{}
	columns := sessionColumns(s)
	err := t.row("SELECT "+names(columns, "")+" FROM sessions WHERE hash = $1", hash).Scan(values(columns)...)
	return one(s, err, controlplane.Errorf(controlplane.CodeNotFound, "There is no such session."))
}

// DeleteSession implements [controlplane.AccountRows].
func (t *tx) DeleteSession(hash string) error {
	_, err := t.exec("DELETE FROM sessions WHERE hash = $1", hash)
	return err
}

// DeleteSessionsOf implements [controlplane.AccountRows].
func (t *tx) DeleteSessionsOf(user string) error {
	_, err := t.exec("DELETE FROM sessions WHERE user_id = $1", user)
	return err
}

// DeleteSessions implements [controlplane.AccountRows].
func (t *tx) DeleteSessions(expiredBefore time.Time) error {
	_, err := t.exec("DELETE FROM sessions WHERE expires_at < $1", micros(expiredBefore))
	return err
}
