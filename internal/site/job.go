package site

import "time"

// ClaimRequest is what a builder sends to POST /attempts/claim, once.
type ClaimRequest struct {
	Token string `json:"token"`
}

// The exit codes of a builder. Any other is a crash.
const (
	ExitDone   = 0 // published, or detected
	ExitFailed = 1 // the build has failed, and an event has said so
	ExitBroken = 2 // the builder could not work or could not say what has failed
	ExitOver   = 3 // canceled, or the attempt is not wanted any more
)

// JobKind says what a builder is to do.
type JobKind string

// The kinds of jobs.
const (
	JobBuild  JobKind = "build"  // clone or unpack, build, publish
	JobDetect JobKind = "detect" // clone, and say what would be built
)

// Job is what a builder is told when it claims an attempt.
type Job struct {
	Kind       JobKind `json:"kind"`
	AttemptID  string  `json:"attemptId"` // names the attempt in the paths of its calls
	Token      string  `json:"token"`     // good for this attempt alone, and only while it runs
	Deployment string  `json:"deployment"`
	Attempt    int     `json:"attempt"`
	Project    string  `json:"project"` // id

	Git     *GitSource `json:"git,omitempty"`     // either this
	Archive *URL       `json:"archive,omitempty"` // or this: a .tar.gz or .zip of the sources

	Build   BuildSettings `json:"build"`
	Env     []EnvVar      `json:"env"`
	NoCache bool          `json:"noCache,omitempty"`
	Limits  Limits        `json:"limits"`
}

// GitSource says what to clone.
type GitSource struct {
	URL        string `json:"url"`
	Branch     string `json:"branch,omitempty"` // none: the repository's default
	Commit     string `json:"commit,omitempty"` // none: the branch's newest
	Username   string `json:"username,omitempty"`
	Password   string `json:"password,omitempty"`
	AllowLocal bool   `json:"allowLocal,omitempty"` // file: and loopback are allowed
}

// BuildSettings are a project's settings of its build. What is empty is
// detected.
type BuildSettings struct {
	RootDirectory   string       `json:"rootDirectory,omitempty"`
	Framework       string       `json:"framework,omitempty"`
	InstallCommand  string       `json:"installCommand,omitempty"`
	BuildCommand    string       `json:"buildCommand,omitempty"`
	OutputDirectory string       `json:"outputDirectory,omitempty"`
	NodeVersion     string       `json:"nodeVersion,omitempty"`
	HTMLHandling    HTMLHandling `json:"htmlHandling,omitempty"`
	NotFound        NotFound     `json:"notFound,omitempty"`
	EarlyHints      bool         `json:"earlyHints,omitempty"`  // what a page preloads is named in a 103 before it
	StrictRules     bool         `json:"strictRules,omitempty"` // a wrong line of _redirects or _headers fails the deployment
}

// EnvVar is one environment variable of a build. Values of secret ones are
// masked in logs.
type EnvVar struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"`
}

// Limits bound one build. Sizes are in bytes.
type Limits struct {
	MemoryBytes     int64         `json:"memoryBytes"`
	Processes       int           `json:"processes"`
	WorkspaceBytes  int64         `json:"workspaceBytes"`
	CloneTime       time.Duration `json:"cloneTime"`
	InstallTime     time.Duration `json:"installTime"`
	BuildTime       time.Duration `json:"buildTime"`
	UploadTime      time.Duration `json:"uploadTime"`
	LogBytes        int64         `json:"logBytes"`
	LogLineBytes    int           `json:"logLineBytes"`
	Files           int           `json:"files"`
	FileBytes       int64         `json:"fileBytes"`
	DeploymentBytes int64         `json:"deploymentBytes"`
	ArchiveBytes    int64         `json:"archiveBytes"`
}

// DefaultLimits are the limits where no setting says otherwise.
func DefaultLimits() Limits {
	return Limits{
		MemoryBytes:     4096 << 20,
		Processes:       1024,
		WorkspaceBytes:  10 << 30,
		CloneTime:       5 * time.Minute,
		InstallTime:     15 * time.Minute,
		BuildTime:       30 * time.Minute,
		UploadTime:      15 * time.Minute,
		LogBytes:        16 << 20,
		LogLineBytes:    16 << 10,
		Files:           100_000,
		FileBytes:       512 << 20,
		DeploymentBytes: 5 << 30,
		ArchiveBytes:    512 << 20,
	}
}

// Detection is what a look at a repository found.
type Detection struct {
	Framework       string   `json:"framework"`     // the row's id, such as "vite"
	FrameworkName   string   `json:"frameworkName"` // such as "Vite"
	PackageManager  string   `json:"packageManager,omitempty"`
	InstallCommand  string   `json:"installCommand,omitempty"`
	BuildCommand    string   `json:"buildCommand,omitempty"`
	OutputDirectory string   `json:"outputDirectory"`
	NodeVersion     string   `json:"nodeVersion,omitempty"`
	RootDirectories []string `json:"rootDirectories,omitempty"` // packages of a monorepo
	Branches        []string `json:"branches,omitempty"`
	DefaultBranch   string   `json:"defaultBranch,omitempty"`
	Commit          string   `json:"commit,omitempty"`
	Message         string   `json:"message,omitempty"`
}
