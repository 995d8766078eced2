package publish

import (
	"encoding/json"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Options say what [Run] publishes, and how.
type Options struct {
	Dir    string  // the folder whose files become the site
	Folder *Folder // the same folder where [Scan] has walked it already; else nil

	Project    string // id
	Deployment string // id of a deployment of that project that takes uploads

	// Meta goes into the manifest. Rules are read from Dir, except that a
	// Rules.Config that is set here (the repository's mini-vercel.json) wins
	// over a file of that name in Dir.
	Meta site.Meta

	// Framework is the rule by which a framework's output names immutable
	// files; nil: the folder was built elsewhere, and only well-known layouts
	// count.
	Framework *FrameworkRule

	Limits   Limits         // zero values stand for the defaults
	SpoolDir string         // where large compressed variants wait for their upload; "": the system's temporary directory
	Budget   time.Duration  // for compression; past it the best brotli level is not tried any more. 0: DefaultBudget
	Progress func(Progress) // called often, by one goroutine at a time; may be nil
	Warn     func(string)   // a sentence about something that was left out; may be nil
}

// DefaultBudget is how long compression may go on improving what it has.
const DefaultBudget = 10 * time.Second

// FrameworkRule says which files of a framework's output have names that change
// with their content.
type FrameworkRule struct {
	Folders []string // relative to the output, with slashes: "assets", "_next/static"
	Sources []string // what [SourceFiles] returned before the build; a file that stands there keeps its name when it changes
}

// Limits bound what may be published. A deployment over one of them is refused
// before anything is uploaded.
type Limits struct {
	Files      int
	FileBytes  int64
	TotalBytes int64
}

// LimitsOf takes the limits of files from a job's.
func LimitsOf(l site.Limits) Limits {
	return Limits{Files: l.Files, FileBytes: l.FileBytes, TotalBytes: l.DeploymentBytes}
}

func (l Limits) withDefaults() Limits {
	d := LimitsOf(site.DefaultLimits())
	if l.Files == 0 {
		l.Files = d.Files
	}
	if l.FileBytes == 0 {
		l.FileBytes = d.FileBytes
	}
	if l.TotalBytes == 0 {
		l.TotalBytes = d.TotalBytes
	}
	return l
}

// Step is what [Run] is doing.
type Step string

// The steps, in their order.
const (
	StepHash     Step = "hash"
	StepCompress Step = "compress"
	StepImprove  Step = "improve" // with the best brotli level, as far as the budget goes
	StepUpload   Step = "upload"
	StepPublish  Step = "publish"
)

// Phase returns the phase of the deployment that the step belongs to.
func (s Step) Phase() site.Phase {
	switch s {
	case StepUpload:
		return site.PhaseUpload
	case StepPublish:
		return site.PhasePublish
	default:
		return site.PhaseProcess
	}
}

// Progress tells how far a step has come. Each step begins with a report of
// nothing done and ends with one of everything done. Items are files while
// hashing and compressing, blobs while uploading.
type Progress struct {
	Step       Step
	Items      int
	ItemsTotal int
	Bytes      int64
	BytesTotal int64
}

// Result is what [Run] did.
type Result struct {
	Files           int
	Bytes           int64 // of all files, uncompressed
	CompressedFiles int   // files that had to be compressed, as no earlier deployment had them
	UploadedBlobs   int
	UploadedBytes   int64
	Deployment      json.RawMessage // the deployment as the control plane answered it when it was published
}
