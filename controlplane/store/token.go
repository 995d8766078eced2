package store

import (
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func tokenColumns(r *controlplane.TokenRow) []column {
	return []column{
		{"id", &r.ID},
		{"user_id", &r.UserID},
		{"hash", &r.Hash},
		{"name", &r.Name},
		{"scope", &r.Scope},
		{"local", flag{&r.Local}},
		{"created_at", instant{&r.CreatedAt}},
		{"last_used_at", maybeInstant{&r.LastUsedAt}},
	}
}

func scanToken(row scanner) (*controlplane.TokenRow, error) {
	r := &controlplane.TokenRow{}
	err := row.Scan(values(tokenColumns(r))...)
	return r, err
}

var selectToken = "SELECT " + names(tokenColumns(&controlplane.TokenRow{}), "") + " FROM tokens "

// InsertToken implements [controlplane.AccountRows].
func (t *tx) InsertToken(r *controlplane.TokenRow) error {
	columns := tokenColumns(r)
	if _, err := t.exec(insert("tokens", columns), values(columns)...); err != nil {
		return fmt.Errorf("insert token %s: %w", r.ID, err)
	}
	return nil
}

// TokenByHash implements [controlplane.AccountRows].
func (t *tx) TokenByHash(hash string) (*controlplane.TokenRow, error) {
	r, err := scanToken(t.row(selectToken+"WHERE hash = $1", hash))
	return one(r, err, controlplane.Errorf(controlplane.CodeNotFound, "There is no such token."))
}

// Tokens implements [controlplane.AccountRows].
func (t *tx) Tokens(user string) ([]*controlplane.TokenRow, error) {
	return collect(t, scanToken, selectToken+"WHERE user_id = $1 AND local = 0 ORDER BY created_at DESC, id", user)
}

// TokenUsed implements [controlplane.AccountRows].
func (t *tx) TokenUsed(id string, at time.Time) error {
	_, err := t.exec("UPDATE tokens SET last_used_at = $2 WHERE id = $1", id, micros(at))
	return err
}

// DeleteToken implements [controlplane.AccountRows].
func (t *tx) DeleteToken(user, id string) (bool, error) {
	n, err := t.exec("DELETE FROM tokens WHERE id = $1 AND user_id = $2 AND local = 0", id, user)
	return n > 0, err
}

// DeleteLocalTokens implements [controlplane.AccountRows].
func (t *tx) DeleteLocalTokens() error {
	_, err := t.exec("DELETE FROM tokens WHERE local = 1")
	return err
}

// PutCode implements [controlplane.AccountRows].
func (t *tx) PutCode(c *controlplane.CodeRow) error {
	if c.Purpose == controlplane.CodeSetup {
		if _, err := t.exec("DELETE FROM codes WHERE purpose = $1", c.Purpose); err != nil {
			return err
		}
	}
	columns := codeColumns(c)
	_, err := t.exec(insert("codes", columns), values(columns)...)
	return err
}

func codeColumns(c *controlplane.CodeRow) []column {
	return []column{
		{"hash", &c.Hash},
		{"purpose", &c.Purpose},
		{"user_id", &c.UserID},
		{"expires_at", instant{&c.ExpiresAt}},
	}
}

// TakeCode implements [controlplane.AccountRows].
func (t *tx) TakeCode(hash string, now time.Time) (*controlplane.CodeRow, error) {
	c := &controlplane.CodeRow{}
	columns := codeColumns(c)
	err := t.change("DELETE FROM codes WHERE hash = $1 AND (expires_at = 0 OR expires_at > $2) RETURNING "+names(columns, ""),
		hash, micros(now)).Scan(values(columns)...)
	return one(c, err, controlplane.Errorf(controlplane.CodeNotFound, "There is no such code."))
}

// CountCodes implements [controlplane.AccountRows].
func (t *tx) CountCodes(purpose controlplane.CodePurpose, now time.Time) (n int, err error) {
	err = t.row("SELECT COUNT(*) FROM codes WHERE purpose = $1 AND (expires_at = 0 OR expires_at > $2)", purpose, micros(now)).Scan(&n)
	return n, err
}

// DeleteCodes implements [controlplane.AccountRows].
func (t *tx) DeleteCodes(expiredBefore time.Time) error {
	_, err := t.exec("DELETE FROM codes WHERE expires_at > 0 AND expires_at < $1", micros(expiredBefore))
	return err
}
