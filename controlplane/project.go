package controlplane

import (
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Project is the owned unit: a site with its deployments.
type Project struct {
	ID               string `json:"id"` // UUID, version 4
	Name             string `json:"name"`
	SubDomain        string `json:"subDomain"` // unique label below the base domain
	CustomDomain     string `json:"customDomain,omitempty"`
	UserID           string `json:"userId"`
	GitURL           string `json:"gitURL,omitempty"`
	ProductionBranch string `json:"productionBranch"`
	HasCredentials   bool   `json:"hasCredentials"` // for the clone; write-only
	site.BuildSettings

	State     site.ProjectState `json:"state"`
	Access    *ProjectAccess    `json:"access,omitempty"` // none: everyone may look
	Pinned    bool              `json:"pinned"`           // production stays until someone resumes or promotes the newest
	URL       string            `json:"url"`              // of the production host
	CreatedAt time.Time         `json:"createdAt"`
	UpdatedAt time.Time         `json:"updatedAt"`

	Latest     *Deployment `json:"latest,omitempty"`     // the newest one
	Production *Deployment `json:"production,omitempty"` // the one that the production route names
}

// Status is the project's status at a glance: its latest deployment's, or
// StatusNotStarted.
func (p *Project) Status() Status {
	if p.Latest == nil {
		return StatusNotStarted
	}
	return p.Latest.Status
}
