package controlplane

import "github.com/mini-vercel/mini-vercel/internal/site"

// Page says which part of a list is wanted, newest first.
type Page struct {
	Limit  int    // 1 to 100; 0: 50
	Cursor string // what the page before answered as next
}

// Credentials are what a private repository is cloned with.
type Credentials struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password"`
}

// ProjectInput makes a project. Only Name is needed.
type ProjectInput struct {
	Name             string
	SubDomain        string // from the name if left out
	GitURL           string
	ProductionBranch string // the repository's default if left out
	Build            site.BuildSettings
	Credentials      *Credentials
}

// ProjectPatch changes a project. What is nil stays.
type ProjectPatch struct {
	Name             *string
	SubDomain        *string
	CustomDomain     *string // a domain that serves: the project is shown with it
	GitURL           *string
	ProductionBranch *string
	RootDirectory    *string
	Framework        *string
	InstallCommand   *string
	BuildCommand     *string
	OutputDirectory  *string
	NodeVersion      *string
	HTMLHandling     *site.HTMLHandling
	NotFound         *site.NotFound
	StrictRules      *bool
	EarlyHints       *bool
	Credentials      *Credentials // an empty one removes what is there
}

// DetectInput names a repository to look at.
type DetectInput struct {
	GitURL        string `json:"gitURL"`
	Branch        string `json:"branch,omitempty"`
	RootDirectory string `json:"rootDirectory,omitempty"`
}

// DeployInput asks for a deployment of the project's repository.
type DeployInput struct {
	ProjectID      string
	Branch         string           // none: the production branch
	Commit         string           // none: the branch's newest
	Environment    site.Environment // none: production on the production branch and for the first one, else preview
	NoCache        bool
	Message        string
	IdempotencyKey string // a second call with the same key answers the first one's deployment
}

// UploadInput asks for a deployment of files or sources that the client sends.
type UploadInput struct {
	ProjectID     string
	Message       string
	Environment   site.Environment // none: production for the project's first one, else preview
	Kind          Kind             // KindFiles or KindArchive
	ArchiveSize   int64            // of KindArchive
	ArchiveSHA256 site.Hash        // of KindArchive
	Source        site.Source      // what the client knows of the files' origin
}

// PromoteInput says how a deployment is promoted.
type PromoteInput struct {
	// NoGrace takes every earlier deployment off the production route's list:
	// open pages no longer find their files.
	NoGrace bool
}

// DeploymentFilter chooses deployments. What is empty chooses all.
type DeploymentFilter struct {
	ProjectID   string
	Status      Status
	Branch      string
	Environment site.Environment
}

// FilePage says which files of a deployment are wanted, in the order of paths.
type FilePage struct {
	Prefix string // of the path
	After  string // a path
	Limit  int    // 1 to 1,000; 0: 100
}

// FileInfo is one file of a deployment.
type FileInfo struct {
	Path        string           `json:"path"`
	Size        int64            `json:"size"`
	SHA256      site.Hash        `json:"sha256"`
	ContentType string           `json:"contentType"`
	Immutable   bool             `json:"immutable,omitempty"`
	Variants    map[string]int64 `json:"variants,omitempty"` // bytes by encoding
}

// LogQuery says which lines of a log are wanted, oldest first.
type LogQuery struct {
	After string // a cursor "<attempt>-<seq>"; none: from the first line
	Limit int    // 1 to 5,000; 0: 1,000
	Query string // lines that contain this text, in any case
}

// LogEvent is what a follower of a log gets: a line, the deployment's new state,
// the state of the log's history, or the word that all was sent.
type LogEvent struct {
	ID      string // the cursor behind it
	Line    *LogLine
	State   *Deployment
	History *LogHistory
	End     bool
}

// LogHistory says whether earlier lines can be read at the moment. Where it was
// never told they can.
type LogHistory struct {
	Delayed bool `json:"delayed" doc:"The log store does not answer, or does not have all lines yet. Lines that come now are shown all the same."`
}
