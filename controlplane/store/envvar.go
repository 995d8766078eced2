package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func envVarColumns(r *controlplane.EnvVarRow) []column {
	return []column{
		{"project_id", &r.ProjectID},
		{"key", &r.Key},
		{"sealed", document{&r.Sealed}},
		{"size", &r.SizeBytes},
		{"secret", flag{&r.Secret}},
		{"environments", document{&r.Environments}},
		{"updated_at", instant{&r.UpdatedAt}},
	}
}

func scanEnvVar(row scanner) (*controlplane.EnvVarRow, error) {
	r := &controlplane.EnvVarRow{}
	err := row.Scan(values(envVarColumns(r))...)
	return r, err
}

var selectEnvVar = "SELECT " + names(envVarColumns(&controlplane.EnvVarRow{}), "") + " FROM env_vars "

// PutEnvVar implements [controlplane.EnvVarRows].
func (t *tx) PutEnvVar(r *controlplane.EnvVarRow) error {
	columns := envVarColumns(r)
	_, err := t.exec(insert("env_vars", columns)+` ON CONFLICT (project_id, key) DO UPDATE SET
		sealed = excluded.sealed, size = excluded.size, secret = excluded.secret,
		environments = excluded.environments, updated_at = excluded.updated_at`, values(columns)...)
	if err != nil {
		return fmt.Errorf("put variable %s of project %s: %w", r.Key, r.ProjectID, err)
	}
	return nil
}

// EnvVar implements [controlplane.EnvVarRows].
func (t *tx) EnvVar(project, key string) (*controlplane.EnvVarRow, error) {
	r, err := scanEnvVar(t.row(selectEnvVar+"WHERE project_id = $1 AND key = $2", project, key))
	return one(r, err, controlplane.Errorf(controlplane.CodeNotFound, "The project has no such variable."))
}

// EnvVars implements [controlplane.EnvVarRows].
func (t *tx) EnvVars(project string) ([]*controlplane.EnvVarRow, error) {
	rows, err := collect(t, scanEnvVar, selectEnvVar+"WHERE project_id = $1", project)
	// By bytes: a database orders text as its language does.
	slices.SortFunc(rows, func(a, b *controlplane.EnvVarRow) int { return strings.Compare(a.Key, b.Key) })
	return rows, err
}

// DeleteEnvVar implements [controlplane.EnvVarRows].
func (t *tx) DeleteEnvVar(project, key string) (bool, error) {
	n, err := t.exec("DELETE FROM env_vars WHERE project_id = $1 AND key = $2", project, key)
	return n > 0, err
}

// DeleteEnvVars implements [controlplane.EnvVarRows].
func (t *tx) DeleteEnvVars(project string) error {
	_, err := t.exec("DELETE FROM env_vars WHERE project_id = $1", project)
	return err
}
