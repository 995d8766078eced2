package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// ActiveDeployments implements [controlplane.DeploymentRows].
func (t *tx) ActiveDeployments(project string) ([]*controlplane.DeploymentRow, error) {
	return collect(t, scanDeployment, selectDeployment+`
		WHERE project_id = $1 AND (status = 'QUEUED' OR status = 'IN_PROGRESS') AND removed_at = 0 ORDER BY seq`, project)
}

// AllDeployments implements [controlplane.DeploymentRows].
func (t *tx) AllDeployments(project string) ([]controlplane.LogRef, error) {
	return collect(t, scanLog, "SELECT id, created_at FROM deployments WHERE project_id = $1 ORDER BY seq", project)
}

// NextQueued implements [controlplane.DeploymentRows]. Of each project the
// oldest deployment stands for all that wait, so that what is sorted are
// projects, however long the queue is.
func (t *tx) NextQueued(now time.Time, limits controlplane.QueueLimits) (*controlplane.DeploymentRow, error) {
	if n, err := t.Builds("", limits.Holder); err != nil || n >= limits.Total {
		return nil, err
	}
	d, err := oneDeployment("waiting", t.row(`
		WITH first AS (
			SELECT project_id, MIN(seq) AS seq FROM deployments
			WHERE status = 'QUEUED' AND dispatchable = 1 AND removed_at = 0 AND not_before <= $2
			GROUP BY project_id),
		running AS (
			SELECT project_id, user_id, COUNT(*) AS builds FROM deployments
			WHERE status = 'IN_PROGRESS' AND kind <> 'files'
			GROUP BY project_id, user_id)
		`+selectDeployment+`
		JOIN first ON first.seq = d.seq
		JOIN projects p ON p.id = d.project_id AND p.state = $1
		WHERE COALESCE((SELECT SUM(r.builds) FROM running r WHERE r.project_id = d.project_id), 0) < $3
		ORDER BY COALESCE((SELECT SUM(r.builds) FROM running r WHERE r.user_id = d.user_id), 0),
		         COALESCE((SELECT SUM(r.builds) FROM running r WHERE r.project_id = d.project_id), 0),
		         COALESCE((SELECT b.started_at FROM deployments b WHERE b.user_id = d.user_id AND b.kind <> 'files' ORDER BY b.started_at DESC LIMIT 1), 0),
		         COALESCE((SELECT b.started_at FROM deployments b WHERE b.project_id = d.project_id AND b.kind <> 'files' ORDER BY b.started_at DESC LIMIT 1), 0),
		         d.seq
		LIMIT 1`,
		site.ProjectActive, micros(now), limits.Project))
	var none *controlplane.Error
	if errors.As(err, &none) {
		return nil, nil
	}
	return d, err
}

// Builds implements [controlplane.DeploymentRows].
func (t *tx) Builds(project, holder string) (n int, err error) {
	const count = "SELECT COUNT(*) FROM deployments WHERE status = 'IN_PROGRESS' AND kind <> 'files'"
	switch {
	case project != "":
		err = t.row(count+" AND project_id = $1", project).Scan(&n)
	case holder != "":
		err = t.row(count+" AND claimed_by = $1", holder).Scan(&n)
	default:
		err = t.row(count).Scan(&n)
	}
	return n, err
}

// Backlog implements [controlplane.DeploymentRows].
func (t *tx) Backlog() (b controlplane.Backlog, err error) {
	err = t.row(`
		SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM deployments
		WHERE status = 'QUEUED' AND dispatchable = 1 AND removed_at = 0`).Scan(&b.Queued, instant{&b.OldestQueued})
	if err != nil {
		return b, fmt.Errorf("read the queue: %w", err)
	}
	for _, table := range []string{"hosts", "projects"} {
		n, oldest := 0, time.Time{}
		err := t.row("SELECT COUNT(*), COALESCE(MIN(NULLIF(changed_at, 0)), 0) FROM "+table+" WHERE generation > published").Scan(&n, instant{&oldest})
		if err != nil {
			return b, fmt.Errorf("read what is not published: %w", err)
		}
		if b.Unpublished += n; !oldest.IsZero() && (b.OldestChange.IsZero() || oldest.Before(b.OldestChange)) {
			b.OldestChange = oldest
		}
	}
	if b.Publisher, err = t.Lease("publisher"); err != nil {
		return b, err
	}
	b.BackedUpAt, _, err = t.Report("backup")
	if controlplane.CodeOf(err) == controlplane.CodeNotFound {
		err = nil
	}
	return b, err
}

// Running implements [controlplane.DeploymentRows].
func (t *tx) Running() ([]*controlplane.DeploymentRow, error) {
	return collect(t, scanDeployment, selectDeployment+
		"WHERE status = 'IN_PROGRESS' AND kind <> $1 AND removed_at = 0 ORDER BY seq", controlplane.KindFiles)
}

// RenewClaims implements [controlplane.DeploymentRows].
func (t *tx) RenewClaims(holder string, until time.Time) error {
	_, err := t.exec("UPDATE deployments SET claim_until = $2 WHERE status = 'IN_PROGRESS' AND claimed_by = $1", holder, micros(until))
	return err
}

// Heard implements [controlplane.DeploymentRows].
func (t *tx) Heard(id string, attempt int, seq int64, now time.Time) (bool, error) {
	n, err := t.exec(`
		UPDATE deployments SET heard_at = $4, last_seq = CASE WHEN last_seq < $3 THEN $3 ELSE last_seq END
		WHERE id = $1 AND attempt = $2 AND status = 'IN_PROGRESS' AND removed_at = 0`, id, attempt, seq, micros(now))
	return n == 1, err
}

// StaleUploads implements [controlplane.DeploymentRows].
func (t *tx) StaleUploads(before time.Time) ([]*controlplane.DeploymentRow, error) {
	return collect(t, scanDeployment, selectDeployment+`
		WHERE heard_at < $1 AND removed_at = 0
		  AND (status = 'IN_PROGRESS' AND kind = $2 OR status = 'QUEUED' AND dispatchable = 0)
		ORDER BY seq`, micros(before), controlplane.KindFiles)
}

// Expired implements [controlplane.DeploymentRows]. What a route names, as its
// deployment or an earlier one, is kept, and so is the newest of each branch
// and of production.
func (t *tx) Expired(q controlplane.ExpiryQuery) ([]*controlplane.DeploymentRow, error) {
	where, args := "", []any{micros(q.FailedBefore), micros(q.Before), q.Keep, controlplane.RoleDeployment, q.Limit, 0}
	if q.Listed {
		args[5] = 1
	}
	for column, value := range map[string]string{"d.project_id": q.Project, "d.id": q.Deployment} {
		if value != "" {
			args = append(args, value)
			where += fmt.Sprintf(" AND %s = $%d", column, len(args))
		}
	}
	return collect(t, scanDeployment, selectDeployment+`
		WHERE d.removed_at = 0 AND (
		    (d.status = 'FAIL' OR d.status = 'CANCELED') AND d.created_at < $1
		 OR d.status = 'READY' AND d.created_at < $2
		    AND (SELECT COUNT(*) FROM deployments n
		         WHERE n.project_id = d.project_id AND n.status = 'READY' AND n.removed_at = 0 AND n.seq > d.seq) >= $3
		    AND NOT EXISTS (
		        SELECT 1 FROM hosts h WHERE h.project_id = d.project_id AND h.gone = 0 AND h.role <> $4
		        AND (h.deployment_id = d.id OR CAST($6 AS BIGINT) = 0 AND REPLACE(h.previous, d.id, '') <> h.previous)))`+where+`
		ORDER BY d.seq LIMIT $5`, args...)
}
