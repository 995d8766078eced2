package site

import "time"

// What follows stands in the bucket for the control plane alone: beside what
// edges need, which skip it, it says what else a lost database is made anew from.

// ProjectRecord is a [Project] as it is written.
type ProjectRecord struct {
	Project
	SubDomain        string         `json:"subDomain,omitempty"` // none: written by a version that did not tell
	CustomDomain     string         `json:"customDomain,omitempty"`
	GitURL           string         `json:"gitURL,omitempty"`
	ProductionBranch string         `json:"productionBranch,omitempty"`
	Build            BuildSettings  `json:"build,omitzero"`
	Domains          []DomainRecord `json:"domains,omitempty"` // in the order in which they were added
	CreatedAt        time.Time      `json:"createdAt,omitzero"`
}

// DomainRecord is a custom domain of a project.
type DomainRecord struct {
	Host         string    `json:"host"`
	Token        string    `json:"token"` // what its TXT record says; everyone may read it there
	RedirectTo   string    `json:"redirectTo,omitempty"`
	CreatedAt    time.Time `json:"createdAt"`
	VerifiedAt   time.Time `json:"verifiedAt,omitzero"`
	MissingSince time.Time `json:"missingSince,omitzero"`
	StoppedAt    time.Time `json:"stoppedAt,omitzero"`
}

// RouteRecord is a [Route] as it is written.
type RouteRecord struct {
	Route
	Role           string      `json:"role,omitempty"` // none: written by a version that did not tell
	Branch         string      `json:"branch,omitempty"`
	Owner          string      `json:"owner,omitempty"`         // of a tombstone
	ProtectedUntil time.Time   `json:"protectedUntil,omitzero"` // of a tombstone: for its former owner
	Pinned         bool        `json:"pinned,omitempty"`        // of production: it stays when something newer is ready
	MadeFor        Environment `json:"madeFor,omitempty"`       // of a deployment's own host
	Promoted       bool        `json:"promoted,omitempty"`      // likewise: a person gave it production
}

// Made says how a deployment came to be. The control plane writes it into the
// manifest.
type Made struct {
	At      time.Time `json:"at,omitzero"`
	Kind    string    `json:"kind,omitempty"`
	Message string    `json:"message,omitempty"`
}
