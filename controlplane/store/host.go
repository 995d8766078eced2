package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func hostColumns(h *controlplane.HostRow) []column {
	return []column{
		{"host", &h.Host},
		{"project_id", &h.ProjectID},
		{"user_id", &h.UserID},
		{"role", &h.Role},
		{"branch", &h.Branch},
		{"deployment_id", &h.Deployment},
		{"previous", document{&h.Previous}},
		{"redirect_to", &h.RedirectTo},
		{"taken_seq", &h.TakenSeq},
		{"gone", flag{&h.Gone}},
		{"protected_until", instant{&h.ProtectedUntil}},
		{"generation", &h.Generation},
		{"published", &h.Published},
		{"published_at", instant{&h.PublishedAt}},
		{"changed_at", instant{&h.ChangedAt}},
	}
}

func scanHost(row scanner) (*controlplane.HostRow, error) {
	h := &controlplane.HostRow{}
	return h, row.Scan(values(hostColumns(h))...)
}

var (
	selectHost = "SELECT " + names(hostColumns(&controlplane.HostRow{}), "") + " FROM hosts "
	upsertHost = func() string {
		columns := hostColumns(&controlplane.HostRow{})
		return insert("hosts", columns) + " ON CONFLICT (host) DO UPDATE SET " + assignments(columns)
	}()
)

// Host implements [controlplane.HostRows].
func (t *tx) Host(host string) (*controlplane.HostRow, error) {
	h, err := scanHost(t.row(selectHost+"WHERE host = $1", host))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, controlplane.Errorf(controlplane.CodeNotFound, "There is no host %s.", host)
	}
	if err != nil {
		return nil, fmt.Errorf("read host %s: %w", host, err)
	}
	return h, nil
}

// SaveHost implements [controlplane.HostRows].
func (t *tx) SaveHost(h *controlplane.HostRow) error {
	if _, err := t.exec(upsertHost, values(hostColumns(h))...); err != nil {
		return fmt.Errorf("save host %s: %w", h.Host, err)
	}
	return nil
}

// HostsOfProject implements [controlplane.HostRows].
func (t *tx) HostsOfProject(project string) ([]*controlplane.HostRow, error) {
	return byName(collect(t, scanHost, selectHost+"WHERE project_id = $1", project))
}

// HostsOfDeployments implements [controlplane.HostRows].
func (t *tx) HostsOfDeployments(deployments []string) ([]*controlplane.HostRow, error) {
	if len(deployments) == 0 {
		return nil, nil
	}
	params, args := list(1, deployments)
	return byName(collect(t, scanHost, selectHost+"WHERE gone = 0 AND deployment_id IN ("+params+")", args...))
}

// byName orders hosts by bytes: a database orders text as its language does.
func byName(rows []*controlplane.HostRow, err error) ([]*controlplane.HostRow, error) {
	slices.SortFunc(rows, func(a, b *controlplane.HostRow) int { return strings.Compare(a.Host, b.Host) })
	return rows, err
}

// ProductionHosts implements [controlplane.HostRows].
func (t *tx) ProductionHosts(projects []string) ([]*controlplane.HostRow, error) {
	if len(projects) == 0 {
		return nil, nil
	}
	params, args := list(2, projects)
	return collect(t, scanHost, selectHost+"WHERE role = $1 AND gone = 0 AND project_id IN ("+params+")",
		append([]any{controlplane.RoleProduction}, args...)...)
}

// HostsWithPrevious implements [controlplane.HostRows].
func (t *tx) HostsWithPrevious(limit int) ([]*controlplane.HostRow, error) {
	return collect(t, scanHost, selectHost+"WHERE previous <> 'null' AND previous <> '[]' ORDER BY published_at LIMIT $1", limit)
}

// DirtyHosts implements [controlplane.HostRows].
func (t *tx) DirtyHosts(limit int) ([]*controlplane.HostRow, error) {
	return collect(t, func(row scanner) (*controlplane.HostRow, error) {
		h := &controlplane.HostRow{}
		return h, row.Scan(append(values(hostColumns(h)), flag{&h.Pinned}, &h.MadeFor, flag{&h.Promoted})...)
	}, "SELECT "+names(hostColumns(&controlplane.HostRow{}), "h")+`,
		CASE WHEN h.role = $2 THEN COALESCE(p.pinned, 0) ELSE 0 END,
		CASE WHEN h.role = $3 THEN COALESCE(d.environment, '') ELSE '' END,
		CASE WHEN h.role = $3 THEN COALESCE(d.promoted, 0) ELSE 0 END
		FROM hosts h
		LEFT JOIN projects p ON p.id = h.project_id
		LEFT JOIN deployments d ON d.id = h.deployment_id
		WHERE h.generation > h.published ORDER BY h.generation LIMIT $1`, limit, controlplane.RoleProduction, controlplane.RoleDeployment)
}

// HostPublished implements [controlplane.HostRows].
func (t *tx) HostPublished(host string, generation int64, at time.Time) error {
	_, err := t.exec("UPDATE hosts SET published = $2, published_at = $3 WHERE host = $1 AND published < $2", host, generation, micros(at))
	return err
}
