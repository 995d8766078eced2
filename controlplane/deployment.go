package controlplane

import (
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Status is where a deployment stands.
type Status string

// The statuses. A deployment goes from Queued to InProgress to one of Ready,
// Fail and Canceled; only the dispatcher takes one back, from InProgress to
// Queued as a new attempt, where the platform was at fault.
const (
	StatusNotStarted Status = "NOT_STARTED" // a project that has no deployment
	StatusQueued     Status = "QUEUED"
	StatusInProgress Status = "IN_PROGRESS"
	StatusReady      Status = "READY"
	StatusFail       Status = "FAIL"
	StatusCanceled   Status = "CANCELED"
)

// Ended reports whether nothing more happens to a deployment in this status.
func (s Status) Ended() bool { return s == StatusReady || s == StatusFail || s == StatusCanceled }

// Kind says what a deployment is made from.
type Kind string

// The kinds of deployments.
const (
	KindGit     Kind = "git"     // a repository is cloned and built
	KindArchive Kind = "archive" // uploaded sources are built
	KindFiles   Kind = "files"   // the client uploads the files themselves
)

// Deployment is one immutable result of a project, or the way to it.
type Deployment struct {
	ID          string           `json:"id"`     // UUID, version 4
	HostID      string           `json:"hostId"` // the id's first eight digits
	ProjectID   string           `json:"projectId"`
	Kind        Kind             `json:"kind"`
	Status      Status           `json:"status"`
	Reason      string           `json:"reason,omitempty"` // why it failed or was canceled
	Environment site.Environment `json:"environment"`
	Attempt     int              `json:"attempt"` // 0: none has begun
	Phase       site.Phase       `json:"phase,omitempty"`
	Phases      []PhaseTimes     `json:"phases"`
	Source      site.Source      `json:"source"`
	Message     string           `json:"message,omitempty"`
	NoCache     bool             `json:"noCache,omitempty"`
	RetryOf     string           `json:"retryOf,omitempty"` // the deployment that a person retried

	Files         int       `json:"files"`
	Bytes         int64     `json:"bytes"`
	UploadedBlobs int       `json:"uploadedBlobs"`
	Warnings      []Warning `json:"warnings"`

	URL           string `json:"url,omitempty"`           // the production or preview address that it got
	DeploymentURL string `json:"deploymentUrl,omitempty"` // the one that never changes
	Hosts         []Host `json:"hosts"`
	InProduction  bool   `json:"inProduction"` // the production route names it

	CreatedAt time.Time  `json:"createdAt"`
	UpdatedAt time.Time  `json:"updatedAt"`
	StartedAt *time.Time `json:"startedAt,omitempty"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
	LiveAt    *time.Time `json:"liveAt,omitempty"` // when its routes stood in the bucket; none: one of them does not yet

	LogExpiresAt *time.Time `json:"logExpiresAt,omitempty"` // from when on its log is gone; none: it is kept
}

// PhaseTimes is when a phase of the latest attempt began and ended.
type PhaseTimes struct {
	Phase     site.Phase `json:"phase"`
	StartedAt time.Time  `json:"startedAt"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
}

// Host is a host name at which a deployment answers.
type Host struct {
	Host string `json:"host"`
	URL  string `json:"url"`
	Role string `json:"role"` // production, domain, branch or deployment
}

// Warning says what was left out of a deployment, and why.
type Warning struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Reason string `json:"reason"`
}

// LogLine is one line of a deployment's log.
type LogLine struct {
	Attempt int         `json:"attempt"`
	Seq     int64       `json:"seq"`
	Time    time.Time   `json:"time"`
	Stream  site.Stream `json:"stream"`
	Phase   site.Phase  `json:"phase"`
	Text    string      `json:"text"`
}

// Change is what GET /events tells of: something a page shows is different now.
type Change struct {
	Type       string `json:"type"` // project or deployment
	Project    string `json:"project"`
	Deployment string `json:"deployment,omitempty"`
	Status     Status `json:"status,omitempty"`
	Phase      string `json:"phase,omitempty"`
	Deleted    bool   `json:"deleted,omitempty"`
}
