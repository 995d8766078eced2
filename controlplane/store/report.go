package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// PutReport implements [controlplane.ReportRows].
func (t *tx) PutReport(name string, at time.Time, body string) error {
	_, err := t.exec(`
		INSERT INTO reports (name, made_at, body) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET made_at = $2, body = $3`, name, micros(at), body)
	if err != nil {
		return fmt.Errorf("keep report %s: %w", name, err)
	}
	return nil
}

// Report implements [controlplane.ReportRows].
func (t *tx) Report(name string) (at time.Time, body string, err error) {
	err = t.row("SELECT made_at, body FROM reports WHERE name = $1", name).Scan(instant{&at}, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return at, "", controlplane.Errorf(controlplane.CodeNotFound, "There is no report %s yet.", name)
	}
	if err != nil {
		return at, "", fmt.Errorf("read report %s: %w", name, err)
	}
	return at, body, nil
}
