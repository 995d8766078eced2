package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func projectColumns(p *controlplane.ProjectRow) []column {
	return []column{
		{"id", &p.ID},
		{"seq", &p.Seq},
		{"created_at", instant{&p.CreatedAt}},
		// What follows can change.
		{"user_id", &p.UserID},
		{"name", &p.Name},
		{"sub_domain", &p.SubDomain},
		{"custom_domain", &p.CustomDomain},
		{"git_url", &p.GitURL},
		{"production_branch", &p.ProductionBranch},
		{"credentials", document{&p.Credentials}},
		{"build", document{&p.BuildSettings}},
		{"state", &p.State},
		{"access", document{&p.Protection}},
		{"pinned", flag{&p.Pinned}},
		{"generation", &p.Generation},
		{"published", &p.Published},
		{"changed_at", instant{&p.ChangedAt}},
		{"collect_at", instant{&p.CollectAt}},
		{"updated_at", instant{&p.UpdatedAt}},
	}
}

const projectFixed = 3 // columns that never change

func scanProject(row scanner) (*controlplane.ProjectRow, error) {
	p := &controlplane.ProjectRow{}
	err := row.Scan(values(projectColumns(p))...)
	p.HasCredentials = len(p.Credentials) > 0
	return p, err
}

var selectProject = "SELECT " + names(projectColumns(&controlplane.ProjectRow{}), "") + " FROM projects "

// InsertProject implements [controlplane.ProjectRows].
func (t *tx) InsertProject(p *controlplane.ProjectRow) error {
	columns := projectColumns(p)
	if _, err := t.exec(insert("projects", columns), values(columns)...); err != nil {
		return fmt.Errorf("insert project %s: %w", p.ID, err)
	}
	return nil
}

// SaveProject implements [controlplane.ProjectRows].
func (t *tx) SaveProject(p *controlplane.ProjectRow) error {
	columns := projectColumns(p)[projectFixed:]
	n, err := t.exec(fmt.Sprintf("UPDATE projects SET %s WHERE id = $%d", assignments(columns), len(columns)+1),
		append(values(columns), p.ID)...)
	if err == nil && n == 0 {
		return missingProject(p.ID)
	}
	if err != nil {
		return fmt.Errorf("save project %s: %w", p.ID, err)
	}
	return nil
}

func missingProject(id string) error {
	return controlplane.Errorf(controlplane.CodeNotFound, "There is no project %s.", id)
}

// Project implements [controlplane.ProjectRows].
func (t *tx) Project(id string) (*controlplane.ProjectRow, error) {
	return oneProject(id, t.row(selectProject+"WHERE id = $1", id))
}

// ProjectBySubDomain implements [controlplane.ProjectRows].
func (t *tx) ProjectBySubDomain(subDomain string) (*controlplane.ProjectRow, error) {
	return oneProject(subDomain, t.row(selectProject+"WHERE sub_domain = $1", subDomain))
}

func oneProject(name string, row scanner) (*controlplane.ProjectRow, error) {
	p, err := scanProject(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, missingProject(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read project %s: %w", name, err)
	}
	return p, nil
}

// Projects implements [controlplane.ProjectRows].
func (t *tx) Projects(user string, before int64, limit int) ([]*controlplane.ProjectRow, error) {
	return collect(t, scanProject, selectProject+`
		WHERE user_id = $1 AND (CAST($2 AS BIGINT) = 0 OR seq < $2) AND state <> $3
		ORDER BY seq DESC LIMIT $4`, user, before, site.ProjectDeleted, limit)
}

// DeletedProjects implements [controlplane.ProjectRows].
func (t *tx) DeletedProjects(now time.Time) ([]string, error) {
	return collect(t, scanString, "SELECT id FROM projects WHERE state = 'deleted' AND collect_at <= $1 ORDER BY seq", micros(now))
}

// DirtyProjects implements [controlplane.ProjectRows].
func (t *tx) DirtyProjects(limit int) ([]*controlplane.ProjectRow, error) {
	return collect(t, scanProject, selectProject+"WHERE generation > published ORDER BY generation LIMIT $1", limit)
}

// ProjectPublished implements [controlplane.ProjectRows].
func (t *tx) ProjectPublished(id string, generation int64) error {
	_, err := t.exec("UPDATE projects SET published = $2 WHERE id = $1 AND published < $2", id, generation)
	return err
}

// CollectableProjects implements [controlplane.ProjectRows].
func (t *tx) CollectableProjects(now time.Time, limit int) ([]string, error) {
	return collect(t, scanString, `
		SELECT id FROM projects WHERE collect_at > 0 AND collect_at <= $1 AND state <> $2
		ORDER BY collect_at LIMIT $3`, micros(now), site.ProjectDeleted, limit)
}

// CollectLater implements [controlplane.ProjectRows].
func (t *tx) CollectLater(id string, at time.Time) error {
	_, err := t.exec("UPDATE projects SET collect_at = $2 WHERE id = $1 AND (collect_at = 0 OR collect_at > $2)", id, micros(at))
	return err
}

// AllProjects implements [controlplane.ProjectRows].
func (t *tx) AllProjects() ([]string, error) {
	return collect(t, scanString, "SELECT id FROM projects ORDER BY seq")
}

// DeleteProject implements [controlplane.ProjectRows].
func (t *tx) DeleteProject(id string) error {
	if _, err := t.exec("DELETE FROM project_locks WHERE project_id = $1", id); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM projects WHERE id = $1", id)
	return err
}
