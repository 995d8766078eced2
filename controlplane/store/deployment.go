package store

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func deploymentColumns(d *controlplane.DeploymentRow) []column {
	return []column{
		{"id", &d.ID},
		{"seq", &d.Seq},
		{"host_id", &d.HostID},
		{"project_id", &d.ProjectID},
		{"user_id", &d.UserID},
		{"kind", &d.Kind},
		{"want_branch", &d.WantBranch},
		{"want_commit", &d.WantCommit},
		{"message", &d.Message},
		{"no_cache", flag{&d.NoCache}},
		{"retry_of", &d.RetryOf},
		{"archive_size", &d.ArchiveSize},
		{"archive_key", &d.ArchiveKey},
		{"created_at", instant{&d.CreatedAt}},
		// What follows can change.
		{"idempotency_key", &d.IdempotencyKey},
		{"status", &d.Status},
		{"reason", &d.Reason},
		{"environment", &d.Environment},
		{"auto", flag{&d.Auto}},
		{"promoted", flag{&d.Promoted}},
		{"dispatchable", flag{&d.Dispatchable}},
		{"attempt", &d.Attempt},
		{"phase", &d.Phase},
		{"phases", document{&d.Phases}},
		{"source", document{&d.Source}},
		{"branch", &d.Source.Branch},
		{"files", &d.Files},
		{"bytes", &d.Bytes},
		{"uploaded_blobs", &d.UploadedBlobs},
		{"warnings", document{&d.Warnings}},
		{"unstarted", &d.Unstarted},
		{"not_before", instant{&d.NotBefore}},
		{"claimed_by", &d.ClaimedBy},
		{"claim_until", instant{&d.ClaimUntil}},
		{"handle", &d.Handle},
		{"heard_at", instant{&d.HeardAt}},
		{"phase_at", instant{&d.PhaseAt}},
		{"last_seq", &d.LastSeq},
		{"has_manifest", flag{&d.HasManifest}},
		{"manifest_hash", &d.ManifestHash},
		{"updated_at", instant{&d.UpdatedAt}},
		{"started_at", maybeInstant{&d.StartedAt}},
		{"ended_at", maybeInstant{&d.EndedAt}},
		{"live_at", maybeInstant{&d.LiveAt}},
		{"removed_at", instant{&d.RemovedAt}},
	}
}

const deploymentFixed = 14 // columns that never change

func scanDeployment(row scanner) (*controlplane.DeploymentRow, error) {
	d := &controlplane.DeploymentRow{}
	return d, row.Scan(values(deploymentColumns(d))...)
}

var selectDeployment = "SELECT " + names(deploymentColumns(&controlplane.DeploymentRow{}), "d") + " FROM deployments d "

// InsertDeployment implements [controlplane.DeploymentRows].
func (t *tx) InsertDeployment(d *controlplane.DeploymentRow) error {
	columns := deploymentColumns(d)
	if _, err := t.exec(insert("deployments", columns), values(columns)...); err != nil {
		return fmt.Errorf("insert deployment %s: %w", d.ID, err)
	}
	return nil
}

// SaveDeployment implements [controlplane.DeploymentRows].
func (t *tx) SaveDeployment(d *controlplane.DeploymentRow, status controlplane.Status, attempt int) (bool, error) {
	columns := deploymentColumns(d)[deploymentFixed:]
	next := len(columns) + 1
	n, err := t.exec(fmt.Sprintf("UPDATE deployments SET %s WHERE id = $%d AND status = $%d AND attempt = $%d AND removed_at = 0",
		assignments(columns), next, next+1, next+2), append(values(columns), d.ID, status, attempt)...)
	if err != nil {
		return false, fmt.Errorf("save deployment %s: %w", d.ID, err)
	}
	return n == 1, nil
}

// Deployment implements [controlplane.DeploymentRows].
func (t *tx) Deployment(id string) (*controlplane.DeploymentRow, error) {
	return oneDeployment(id, t.row(selectDeployment+"WHERE id = $1 AND removed_at = 0", id))
}

// DeploymentByHostID implements [controlplane.DeploymentRows].
func (t *tx) DeploymentByHostID(project, hostID string) (*controlplane.DeploymentRow, error) {
	return oneDeployment(hostID, t.row(selectDeployment+"WHERE project_id = $1 AND host_id = $2 AND removed_at = 0", project, hostID))
}

// DeploymentByKey implements [controlplane.DeploymentRows].
func (t *tx) DeploymentByKey(user, key string) (*controlplane.DeploymentRow, error) {
	return oneDeployment(key, t.row(selectDeployment+"WHERE user_id = $1 AND idempotency_key = $2 AND idempotency_key <> '' AND removed_at = 0", user, key))
}

func oneDeployment(name string, row scanner) (*controlplane.DeploymentRow, error) {
	d, err := scanDeployment(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, controlplane.Errorf(controlplane.CodeNotFound, "There is no deployment %s.", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read deployment %s: %w", name, err)
	}
	return d, nil
}

// Deployments implements [controlplane.DeploymentRows]. Conditions that choose
// all are left out, so that an index serves the others.
func (t *tx) Deployments(q controlplane.DeploymentQuery) ([]*controlplane.DeploymentRow, error) {
	var where strings.Builder
	args := []any{q.UserID, site.ProjectDeleted, q.Limit}
	add := func(condition string, value any) {
		args = append(args, value)
		fmt.Fprintf(&where, " AND "+condition, len(args))
	}
	if q.ProjectID != "" {
		add("d.project_id = $%d", q.ProjectID)
	}
	if q.Status != "" {
		add("d.status = $%d", q.Status)
	}
	if q.Branch != "" {
		add("d.branch = $%d", q.Branch)
	}
	if q.Environment != "" {
		add("d.environment = $%d", q.Environment)
	}
	if q.Before != 0 {
		add("d.seq < $%d", q.Before)
	}
	return collect(t, scanDeployment, selectDeployment+`
		JOIN projects p ON p.id = d.project_id
		WHERE p.user_id = $1 AND d.user_id = $1 AND p.state <> $2 AND d.removed_at = 0`+where.String()+`
		ORDER BY d.seq DESC LIMIT $3`, args...)
}

// LatestDeployments implements [controlplane.DeploymentRows].
func (t *tx) LatestDeployments(projects []string) (map[string]*controlplane.DeploymentRow, error) {
	out := map[string]*controlplane.DeploymentRow{}
	if len(projects) == 0 {
		return out, nil
	}
	params, args := list(1, projects)
	rows, err := collect(t, scanDeployment, selectDeployment+`
		JOIN (SELECT project_id, MAX(seq) AS seq FROM deployments
		      WHERE removed_at = 0 AND project_id IN (`+params+`) GROUP BY project_id) newest
		ON newest.seq = d.seq`, args...)
	for _, d := range rows {
		out[d.ProjectID] = d
	}
	return out, err
}

// NewestReady implements [controlplane.DeploymentRows].
func (t *tx) NewestReady(project, branch string) (*controlplane.DeploymentRow, error) {
	return oneDeployment("in "+project, t.row(selectDeployment+`
		WHERE project_id = $1 AND status = $2 AND removed_at = 0
		  AND ($3 <> '' AND branch = $3 OR $3 = '' AND (environment = $4 OR promoted = 1))
		ORDER BY seq DESC LIMIT 1`, project, controlplane.StatusReady, branch, site.Production))
}

// WentLive implements [controlplane.DeploymentRows].
func (t *tx) WentLive(now time.Time) ([]string, error) {
	t.wrote = true
	return collect(t, scanString, `
		UPDATE deployments SET live_at = $1, updated_at = $1
		WHERE status = 'READY' AND live_at = 0 AND NOT EXISTS (
			SELECT 1 FROM hosts h WHERE h.deployment_id = deployments.id AND h.generation > h.published)
		RETURNING id`, micros(now))
}

// KeptManifests implements [controlplane.DeploymentRows].
func (t *tx) KeptManifests(project string, all bool, limit int) ([]string, error) {
	return collect(t, scanString, `
		SELECT id FROM deployments
		WHERE project_id = $1 AND has_manifest = 1
		  AND (status = 'READY' AND removed_at = 0 OR $2 = 1 AND (status = 'READY' OR status = 'IN_PROGRESS'))
		ORDER BY seq DESC LIMIT $3`, project, flag{&all}, limit)
}

// RemovedDeployments implements [controlplane.DeploymentRows].
func (t *tx) RemovedDeployments(project string) ([]*controlplane.DeploymentRow, error) {
	return collect(t, scanDeployment, selectDeployment+"WHERE d.project_id = $1 AND d.removed_at > 0 ORDER BY d.seq", project)
}

// DeleteDeployments implements [controlplane.DeploymentRows].
func (t *tx) DeleteDeployments(ids ...string) error {
	for _, id := range ids {
		if _, err := t.exec("DELETE FROM deployments WHERE id = $1", id); err != nil {
			return fmt.Errorf("delete deployment %s: %w", id, err)
		}
	}
	return nil
}
