package store

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func userColumns(u *controlplane.UserRow) []column {
	return []column{
		{"id", &u.ID},
		{"created_at", instant{&u.CreatedAt}},
		// What follows can change.
		{"email", &u.Email},
		{"name", &u.Name},
		{"password_hash", &u.PasswordHash},
		{"admin", flag{&u.Admin}},
		{"subject", &u.Subject},
		{"tokens_from", instant{&u.TokensFrom}},
		{"disabled_at", instant{&u.DisabledAt}},
	}
}

const userFixed = 2 // columns that never change

var selectUser = "SELECT " + names(userColumns(&controlplane.UserRow{}), "") + " FROM users "

// InsertUser implements [controlplane.AccountRows].
func (t *tx) InsertUser(u *controlplane.UserRow) error {
	columns := userColumns(u)
	if _, err := t.exec(insert("users", columns), values(columns)...); err != nil {
		return fmt.Errorf("insert user %s: %w", u.ID, err)
	}
	return nil
}

// SaveUser implements [controlplane.AccountRows].
func (t *tx) SaveUser(u *controlplane.UserRow) error {
	columns := userColumns(u)[userFixed:]
	n, err := t.exec(fmt.Sprintf("UPDATE users SET %s WHERE id = $%d", assignments(columns), len(columns)+1),
		append(values(columns), u.ID)...)
	if err != nil {
		return fmt.Errorf("save user %s: %w", u.ID, err)
	}
	if n == 0 {
		return errNoUser
	}
	return nil
}

var errNoUser = controlplane.Errorf(controlplane.CodeNotFound, "There is no such account.")

// User implements [controlplane.AccountRows].
func (t *tx) User(id string) (*controlplane.UserRow, error) {
	return oneUser(t.row(selectUser+"WHERE id = $1", id))
}

// UserByEmail implements [controlplane.AccountRows].
func (t *tx) UserByEmail(email string) (*controlplane.UserRow, error) {
	return oneUser(t.row(selectUser+"WHERE email = $1 AND email <> ''", email))
}

// UserBySubject implements [controlplane.AccountRows].
func (t *tx) UserBySubject(subject string) (*controlplane.UserRow, error) {
	return oneUser(t.row(selectUser+"WHERE subject = $1 AND subject <> ''", subject))
}

// Owner implements [controlplane.AccountRows].
func (t *tx) Owner() (*controlplane.UserRow, error) {
	return oneUser(t.row(selectUser + "ORDER BY created_at, id LIMIT 1"))
}

// UnclaimedOwner implements [controlplane.AccountRows].
func (t *tx) UnclaimedOwner() (*controlplane.UserRow, error) {
	return oneUser(t.row(selectUser + "WHERE email = '' AND password_hash = '' AND subject = '' LIMIT 1"))
}

func oneUser(row scanner) (*controlplane.UserRow, error) {
	u := &controlplane.UserRow{}
	return one(u, row.Scan(values(userColumns(u))...), errNoUser)
}

// one returns what was read, or missing where there is no row.
func one[T any](v *T, err error, missing error) (*T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, missing
	}
	if err != nil {
		return nil, fmt.Errorf("read a row: %w", err)
	}
	return v, nil
}

// CountUsers implements [controlplane.AccountRows].
func (t *tx) CountUsers() (n int, err error) {
	err = t.row("SELECT COUNT(*) FROM users").Scan(&n)
	return n, err
}
