package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func domainColumns(d *controlplane.DomainRow) []column {
	return []column{
		{"project_id", &d.ProjectID},
		{"host", &d.Host},
		{"created_at", instant{&d.CreatedAt}},
		{"token", &d.Token},
		// What follows can change.
		{"redirect_to", &d.RedirectTo},
		{"verified_at", instant{&d.VerifiedAt}},
		{"missing_since", instant{&d.MissingSince}},
		{"stopped_at", instant{&d.StoppedAt}},
		{"checked_at", instant{&d.CheckedAt}},
		{"next_check", instant{&d.NextCheck}},
		{"failures", &d.Failures},
		{"records", document{&d.Records}},
	}
}

const domainFixed = 4 // columns that never change

func scanDomain(row scanner) (*controlplane.DomainRow, error) {
	d := &controlplane.DomainRow{}
	err := row.Scan(values(domainColumns(d))...)
	return d, err
}

var selectDomain = "SELECT " + names(domainColumns(&controlplane.DomainRow{}), "") + " FROM domains "

func missingDomain(host string) error {
	return controlplane.Errorf(controlplane.CodeNotFound, "The project has no domain %s.", host)
}

// InsertDomain implements [controlplane.DomainRows].
func (t *tx) InsertDomain(d *controlplane.DomainRow) error {
	columns := domainColumns(d)
	if _, err := t.exec(insert("domains", columns), values(columns)...); err != nil {
		return fmt.Errorf("insert domain %s of project %s: %w", d.Host, d.ProjectID, err)
	}
	return nil
}

// SaveDomain implements [controlplane.DomainRows].
func (t *tx) SaveDomain(d *controlplane.DomainRow) error {
	columns := domainColumns(d)[domainFixed:]
	n, err := t.exec(fmt.Sprintf("UPDATE domains SET %s WHERE project_id = $%d AND host = $%d", assignments(columns), len(columns)+1, len(columns)+2),
		append(values(columns), d.ProjectID, d.Host)...)
	if err == nil && n == 0 {
		return missingDomain(d.Host)
	}
	if err != nil {
		return fmt.Errorf("save domain %s of project %s: %w", d.Host, d.ProjectID, err)
	}
	return nil
}

// Domain implements [controlplane.DomainRows].
func (t *tx) Domain(project, host string) (*controlplane.DomainRow, error) {
	d, err := scanDomain(t.row(selectDomain+"WHERE project_id = $1 AND host = $2", project, host))
	return one(d, err, missingDomain(host))
}

// Domains implements [controlplane.DomainRows].
func (t *tx) Domains(project string) ([]*controlplane.DomainRow, error) {
	rows, err := collect(t, scanDomain, selectDomain+"WHERE project_id = $1", project)
	slices.SortFunc(rows, func(a, b *controlplane.DomainRow) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.Host, b.Host))
	})
	return rows, err
}

// VerifiedDomain implements [controlplane.DomainRows].
func (t *tx) VerifiedDomain(host string) (*controlplane.DomainRow, error) {
	d, err := scanDomain(t.row(selectDomain+"WHERE host = $1 AND verified_at > 0", host))
	return one(d, err, missingDomain(host))
}

// DueDomains implements [controlplane.DomainRows].
func (t *tx) DueDomains(now time.Time, limit int) ([]*controlplane.DomainRow, error) {
	return collect(t, scanDomain, selectDomain+"WHERE next_check <= $1 ORDER BY next_check LIMIT $2", micros(now), limit)
}

// DeleteDomain implements [controlplane.DomainRows].
func (t *tx) DeleteDomain(project, host string) error {
	_, err := t.exec("DELETE FROM domains WHERE project_id = $1 AND host = $2", project, host)
	return err
}

// DeleteDomains implements [controlplane.DomainRows].
func (t *tx) DeleteDomains(project string) error {
	_, err := t.exec("DELETE FROM domains WHERE project_id = $1", project)
	return err
}
