package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// EnvVar is an environment variable of a project's builds. A secret one's value
// can be replaced, but is never shown again.
type EnvVar struct {
	Key          string             `json:"key"`
	Value        *string            `json:"value,omitempty"` // not of a secret one
	Secret       bool               `json:"secret"`
	Environments []site.Environment `json:"environments"` // production, preview or both
	UpdatedAt    time.Time          `json:"updatedAt"`
}

// EnvVarInput sets an environment variable.
type EnvVarInput struct {
	Key          string
	Value        *string // nil keeps the value that there is
	Secret       bool
	Environments []site.Environment // none: both
}

// Limits of environment variables: together they must fit beside the arguments
// of every process of a build.
const (
	MaxEnvVars          = 256
	MaxEnvKeyBytes      = 128
	MaxEnvValueBytes    = 32 << 10
	MaxEnvTotalBytes    = 128 << 10
	reservedEnvVarNames = "MINI_VERCEL"
)

// EnvVars lists a project's variables in the order of their keys.
func (s *Service) EnvVars(ctx context.Context, p Principal, project string) (vars []*EnvVar, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		owned, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		rows, err := tx.EnvVars(owned.ID)
		if err != nil {
			return err
		}
		vars, err = s.showEnvVars(rows)
		return err
	})
	return vars, err
}

// SetEnvVar inserts or replaces one variable. Builds that start later see it.
func (s *Service) SetEnvVar(ctx context.Context, p Principal, project string, in EnvVarInput) (*EnvVar, error) {
	vars, err := s.setEnvVars(ctx, p, project, false, in)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(vars, func(v *EnvVar) bool { return v.Key == in.Key })
	return vars[i], nil
}

// ReplaceEnvVars makes these all the variables of a project: others go.
func (s *Service) ReplaceEnvVars(ctx context.Context, p Principal, project string, in []EnvVarInput) ([]*EnvVar, error) {
	return s.setEnvVars(ctx, p, project, true, in...)
}

// DeleteEnvVar removes a variable.
func (s *Service) DeleteEnvVar(ctx context.Context, p Principal, project, key string) error {
	if err := p.Allows(ScopeAdmin); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx Tx) error {
		owned, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		found, err := tx.DeleteEnvVar(owned.ID, key)
		if err == nil && !found {
			return Errorf(CodeNotFound, "The project has no such variable.")
		}
		return err
	})
}

func (s *Service) setEnvVars(ctx context.Context, p Principal, project string, all bool, in ...EnvVarInput) (vars []*EnvVar, err error) {
	if err := p.Allows(ScopeAdmin); err != nil {
		return nil, err
	}
	if err := checkEnvVars(in, all); err != nil {
		return nil, err
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		owned, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		rows := make([]*EnvVarRow, len(in))
		for i, v := range in {
			if rows[i], err = s.envVarRow(tx, owned.ID, v, envField(all, i)); err != nil {
				return err
			}
		}
		if all {
			if err := tx.DeleteEnvVars(owned.ID); err != nil {
				return err
			}
		}
		for _, row := range rows {
			if err := tx.PutEnvVar(row); err != nil {
				return err
			}
		}
		have, err := tx.EnvVars(owned.ID)
		if err != nil {
			return err
		}
		if err := checkEnvTotal(have); err != nil {
			return err
		}
		vars, err = s.showEnvVars(have)
		return err
	})
	return vars, err
}

// envVarRow makes the row of a variable, with the value that there was where
// none is given.
func (s *Service) envVarRow(tx Tx, project string, in EnvVarInput, field string) (*EnvVarRow, error) {
	row := &EnvVarRow{
		EnvVar:    EnvVar{Key: in.Key, Secret: in.Secret, Environments: in.Environments, UpdatedAt: s.now()},
		ProjectID: project,
	}
	if len(row.Environments) == 0 {
		row.Environments = []site.Environment{site.Production, site.Preview}
	}
	if in.Value != nil {
		sealed, err := s.seal(envPurpose(project, in.Key), []byte(*in.Value))
		row.Sealed, row.SizeBytes = sealed, len(*in.Value)
		return row, err
	}
	have, err := tx.EnvVar(project, in.Key)
	if CodeOf(err) == CodeNotFound {
		return nil, Invalid(field+"value", "A new variable needs a value.")
	}
	if err != nil {
		return nil, err
	}
	if have.Secret && !in.Secret {
		return nil, Invalid(field+"value", "A secret is never shown again: to make the variable readable, give it a new value.")
	}
	row.Sealed, row.SizeBytes = have.Sealed, have.SizeBytes
	return row, nil
}

// envPurpose binds a value to its project and name.
func envPurpose(project, key string) string { return "env|" + project + "|" + key }

func (s *Service) showEnvVars(rows []*EnvVarRow) ([]*EnvVar, error) {
	vars := make([]*EnvVar, len(rows))
	for i, row := range rows {
		vars[i] = &row.EnvVar
		if row.Secret {
			continue
		}
		plain, err := s.unseal(envPurpose(row.ProjectID, row.Key), row.Sealed)
		if err != nil {
			return nil, fmt.Errorf("read variable %s of project %s: %w", row.Key, row.ProjectID, err)
		}
		value := string(plain)
		row.Value = &value
	}
	return vars, nil
}

// buildEnv returns what a build of a project gets, in one environment.
func (s *Service) buildEnv(ctx context.Context, project string, env site.Environment) ([]site.EnvVar, error) {
	var rows []*EnvVarRow
	err := s.store.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.EnvVars(project)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the variables of project %s: %w", project, err)
	}
	vars := []site.EnvVar{}
	for _, row := range rows {
		if !slices.Contains(row.Environments, env) {
			continue
		}
		plain, err := s.unseal(envPurpose(project, row.Key), row.Sealed)
		if err != nil {
			return nil, fmt.Errorf("read variable %s of project %s: %w", row.Key, project, err)
		}
		vars = append(vars, site.EnvVar{Name: row.Key, Value: string(plain), Secret: row.Secret})
	}
	return vars, nil
}

// envField is how the fields of the i-th variable are named in errors.
func envField(all bool, i int) string {
	if all {
		return fmt.Sprintf("items[%d].", i)
	}
	return ""
}

func checkEnvVars(in []EnvVarInput, all bool) error {
	if len(in) > MaxEnvVars {
		return Invalid("items", "A project has at most %d variables.", MaxEnvVars)
	}
	var fields []FieldError
	seen := map[string]bool{}
	for i, v := range in {
		add := func(field, message string) {
			fields = append(fields, FieldError{Field: envField(all, i) + field, Message: message})
		}
		if message := checkEnvKey(v.Key); message != "" {
			add("key", message)
		} else if seen[v.Key] {
			add("key", "is there twice")
		}
		seen[v.Key] = true
		if v.Value != nil {
			if message := checkEnvValue(*v.Value); message != "" {
				add("value", message)
			}
		}
		for j, e := range v.Environments {
			if e != site.Production && e != site.Preview || slices.Contains(v.Environments[:j], e) {
				add("environments", "use production, preview or both")
				break
			}
		}
	}
	if len(fields) > 0 {
		return &Error{Code: CodeInvalid, Message: "Some fields are not valid.", Fields: fields}
	}
	return nil
}

// checkEnvKey takes the names that POSIX shells take, XBD section 8.1.
func checkEnvKey(key string) string {
	for i := range len(key) {
		c := key[i]
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return "use letters, digits and underscores, and no digit in front"
		}
	}
	switch {
	case key == "" || len(key) > MaxEnvKeyBytes:
		return fmt.Sprintf("use 1 to %d characters", MaxEnvKeyBytes)
	case strings.HasPrefix(key, reservedEnvVarNames):
		return "names that begin with " + reservedEnvVarNames + " are set by the platform"
	}
	return ""
}

func checkEnvValue(value string) string {
	switch {
	case len(value) > MaxEnvValueBytes:
		return fmt.Sprintf("use at most %d bytes", MaxEnvValueBytes)
	case strings.ContainsRune(value, 0) || !utf8.ValidString(value):
		return "use UTF-8 text without NUL"
	}
	return ""
}

func checkEnvTotal(rows []*EnvVarRow) error {
	if len(rows) > MaxEnvVars {
		return Invalid("key", "A project has at most %d variables.", MaxEnvVars)
	}
	total := 0
	for _, row := range rows {
		total += len(row.Key) + row.SizeBytes
	}
	if total > MaxEnvTotalBytes {
		return Invalid("value", "All variables of a project have at most %d bytes together.", MaxEnvTotalBytes)
	}
	return nil
}
