package controlplane

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Scope is what a sign-in is good for. A wider scope includes the narrower.
type Scope int

// The scopes, narrow to wide.
const (
	ScopeRead   Scope = iota + 1 // look
	ScopeDeploy                  // deploy, cancel, promote
	ScopeAdmin                   // settings, tokens, removal
)

// String returns the scope's name in the API.
func (s Scope) String() string {
	switch s {
	case ScopeRead:
		return "read"
	case ScopeDeploy:
		return "deploy"
	case ScopeAdmin:
		return "admin"
	}
	return ""
}

// MarshalText writes the scope's name.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the scope's name.
func (s *Scope) UnmarshalText(text []byte) error {
	for _, known := range []Scope{ScopeRead, ScopeDeploy, ScopeAdmin} {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("scope %q: use read, deploy or admin", text)
}

// Principal is a person who is signed in, or a token that acts for one.
type Principal struct {
	UserID  string
	Admin   bool // may suspend projects and invite people
	Scope   Scope
	TokenID string // none: a session
	Local   bool   // up's own CLI token, from loopback

	// Until is when a sign-in by Supabase ends, if no new token prolongs it.
	// Zero: it is none.
	Until time.Time
}

// Allows says why the principal may not do what needs a scope.
func (p Principal) Allows(needed Scope) error {
	if p.UserID == "" {
		return Errorf(CodeUnauthorized, "Sign in first.")
	}
	if p.Scope < needed {
		return Errorf(CodeForbidden, "This needs a token with the scope %q; yours has %q.", needed, p.Scope)
	}
	return nil
}

// Attempt names one run of a builder.
type Attempt struct {
	Deployment string // of a detection: its id
	Number     int
	Project    string    // none for a detection
	Created    time.Time // likewise; when the deployment was
	Detection  bool
}

// ID is the attempt's name in paths: "<deployment>.<number>".
func (a Attempt) ID() string { return fmt.Sprintf("%s.%d", a.Deployment, a.Number) }

// parseAttempt reads an attempt's id.
func parseAttempt(id string) (a Attempt, ok bool) {
	deployment, number, dotted := strings.Cut(id, ".")
	n, err := strconv.ParseUint(number, 10, 16)
	return Attempt{Deployment: deployment, Number: int(n)}, dotted && err == nil
}

// attempt is the latest of a deployment.
func (d *DeploymentRow) attempt() Attempt {
	return Attempt{Deployment: d.ID, Number: d.Attempt, Project: d.ProjectID}
}

// Actor is who makes a call of the upload protocol: a person's client, or the
// builder of one attempt. Exactly one is set.
type Actor struct {
	Principal *Principal
	Attempt   *Attempt
}
