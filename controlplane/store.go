package controlplane

import (
	"context"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Store keeps everything but files and logs, in a database.
type Store interface {
	// View runs f in a transaction that reads one state of the database.
	View(ctx context.Context, f func(Tx) error) error

	// Update runs f in a transaction that is committed when f returns nil, and
	// sees the database as if no other Update ran. It may hold up every other
	// one: f waits for nothing but the database. It may run f several times, of
	// which the last counts: f begins anew each time, and does nothing outside of
	// the transaction that must not be repeated.
	//
	// Where the database does not answer the error is of [CodeUnavailable]. An
	// error says that nothing was kept, unless it says that nobody knows.
	Update(ctx context.Context, f func(Tx) error) error

	// LockProject waits for the one lock that publishing, promoting and
	// removing take for a project, among all control planes. It is held outside
	// of transactions, since what it guards reads the bucket. Its holder works
	// with the context that is returned, until unlock is called: it ends when the
	// lock is lost, and an Update with it, or with one made from it, is committed
	// only while the lock is held.
	LockProject(ctx context.Context, project string) (locked context.Context, unlock func(), err error)

	// Listen passes on what Updates notify of, on any control plane, in the
	// order in which they were committed, until ctx ends. It calls gap once
	// nothing is missed from then on, and again wherever something may have
	// been. Neither function may wait for anything.
	Listen(ctx context.Context, heard func(note string), gap func())

	// Ping fails where the database does not answer.
	Ping(ctx context.Context) error

	Close() error
}

// MaxNote is how many bytes one note has at most (PostgreSQL takes 7,999).
const MaxNote = 7900

// Tx is an open transaction. Rows that it reads in an Update stay as they are
// until it ends. What does not exist is an [Error] of [CodeNotFound].
type Tx interface {
	ProjectRows
	DeploymentRows
	HostRows
	WorkRows
	AccountRows
	EnvVarRows
	DomainRows
	TableRows
	ReportRows
}

// ProjectRows are the projects.
type ProjectRows interface {
	InsertProject(*ProjectRow) error
	// SaveProject writes every column that can change.
	SaveProject(*ProjectRow) error
	Project(id string) (*ProjectRow, error)
	ProjectBySubDomain(subDomain string) (*ProjectRow, error)
	// Projects lists a user's projects that are not deleted, newest first, from
	// behind the one with the seq before (0: from the newest).
	Projects(user string, before int64, limit int) ([]*ProjectRow, error)
	// DeletedProjects lists projects whose removal is not complete, and due.
	DeletedProjects(now time.Time) ([]string, error)
	// DirtyProjects lists projects whose record is not published.
	DirtyProjects(limit int) ([]*ProjectRow, error)
	ProjectPublished(id string, generation int64) error
	// CollectableProjects lists projects whose bucket holds something to free.
	CollectableProjects(now time.Time, limit int) ([]string, error)
	// CollectLater notes that a project has something to free at a time.
	CollectLater(id string, at time.Time) error
	// AllProjects lists the ids of all projects, deleted ones too.
	AllProjects() ([]string, error)
	// DeleteProject removes the row and everything that hangs on it.
	DeleteProject(id string) error
	// MarkAllDirty gives every host and project a new generation above a value,
	// so that all are published again, in a transaction that draws none: not a
	// deleted project whose record was published, since it is removed.
	MarkAllDirty(above int64, now time.Time) error
}

// ProjectRow is a project as it is kept.
type ProjectRow struct {
	Project
	Seq         int64  // order of creation
	Credentials []byte // sealed; none
	Protection  *AccessRow
	Generation  int64     // of its record
	Published   int64     // the generation that stands in the bucket
	ChangedAt   time.Time // since when its record is not published; nothing where it is
	CollectAt   time.Time
}

// DeploymentRows are the deployments.
type DeploymentRows interface {
	InsertDeployment(*DeploymentRow) error
	// SaveDeployment writes every column that can change, if the row still has
	// that status and attempt, and reports whether it had.
	SaveDeployment(d *DeploymentRow, status Status, attempt int) (bool, error)
	// Deployment returns one that is not removed.
	Deployment(id string) (*DeploymentRow, error)
	DeploymentByHostID(project, hostID string) (*DeploymentRow, error)
	DeploymentByKey(user, idempotencyKey string) (*DeploymentRow, error)
	// Deployments lists those that a filter chooses, newest first.
	Deployments(DeploymentQuery) ([]*DeploymentRow, error)
	// LatestDeployments returns the newest deployment of each project.
	LatestDeployments(projects []string) (map[string]*DeploymentRow, error)
	// NewestReady returns a project's newest deployment that may have
	// production, or of a branch where one is given.
	NewestReady(project, branch string) (*DeploymentRow, error)
	// ActiveDeployments lists those of a project that have not ended.
	ActiveDeployments(project string) ([]*DeploymentRow, error)
	// AllDeployments names the logs of all rows of a project, removed ones too.
	AllDeployments(project string) ([]LogRef, error)
	// NextQueued returns the deployment that is to start next, or nil where none
	// may start now. It is fair: whose owner, and whose project, has fewer builds
	// running comes first, then whose owner and project have waited longest since
	// they last had a build started, then what was created first.
	NextQueued(now time.Time, limits QueueLimits) (*DeploymentRow, error)
	// Builds counts builds that are in progress: a project's, or those that one
	// control plane has claimed, or all.
	Builds(project, holder string) (int, error)
	// Backlog is what waits to be done.
	Backlog() (Backlog, error)
	// Running lists all builds that are in progress.
	Running() ([]*DeploymentRow, error)
	// RenewClaims prolongs what a control plane has claimed; a zero time gives it
	// back.
	RenewClaims(holder string, until time.Time) error
	// Heard notes that an attempt has reported, and reports whether it still runs.
	Heard(id string, attempt int, seq int64, now time.Time) (bool, error)
	// StaleUploads lists uploads, of files or of an archive, that nobody has
	// worked on since.
	StaleUploads(before time.Time) ([]*DeploymentRow, error)
	// WentLive notes when ready deployments stood in the bucket with all their
	// hosts, and returns their ids.
	WentLive(now time.Time) ([]string, error)
	// Expired lists deployments that have outlived their retention, oldest first.
	Expired(q ExpiryQuery) ([]*DeploymentRow, error)
	// RemovedDeployments lists a project's deployments that were removed and not
	// yet freed.
	RemovedDeployments(project string) ([]*DeploymentRow, error)
	// KeptManifests lists, newest first, a project's deployments whose manifest
	// is kept: the ready ones, and where all is set those that are being
	// uploaded, and those removed but not yet freed.
	KeptManifests(project string, all bool, limit int) ([]string, error)
	// DeleteDeployments removes rows for good.
	DeleteDeployments(ids ...string) error
}

// DeploymentRow is a deployment as it is kept.
type DeploymentRow struct {
	Deployment
	Seq            int64 // order of creation
	UserID         string
	Auto           bool   // the first to be ready takes production, whatever Environment says
	Promoted       bool   // a person gave it production
	Dispatchable   bool   // false: an archive that is still being uploaded
	WantBranch     string // as asked for
	WantCommit     string
	IdempotencyKey string
	ArchiveSize    int64
	ArchiveKey     string // in the bucket

	Unstarted    int       // attempts whose builder never ran, for want of room
	NotBefore    time.Time // the dispatcher leaves it until then
	ClaimedBy    string    // the control plane that looks after it
	ClaimUntil   time.Time
	Handle       string // of its builder
	HeardAt      time.Time
	PhaseAt      time.Time
	LastSeq      int64  // of the last event of this attempt
	HasManifest  bool   // of this attempt
	ManifestHash string // sha256 of its encoding, in hex; none: a version before this one took it
	RemovedAt    time.Time
}

// DeploymentQuery chooses deployments for a list.
type DeploymentQuery struct {
	DeploymentFilter
	UserID string // owner of the projects
	Before int64  // seq; 0: from the newest
	Limit  int
}

// QueueLimits say how many builds run at once: of all, or of those that one
// control plane has claimed where Holder names one; and of each project.
type QueueLimits struct {
	Total, Project int
	Holder         string
}

// ExpiryQuery chooses deployments that may go: those that were created before a
// time, which a zero one chooses none by. Of the ready ones each project keeps
// the newest whatever their age, and those that a route of something else than
// themselves names.
type ExpiryQuery struct {
	Before, FailedBefore time.Time
	Keep                 int    // ready ones of each project
	Project              string // of this one alone; none: of all
	Deployment           string // this one alone
	Listed               bool   // also what hosts name as an earlier one alone
	Limit                int
}

// HostRows are the hosts and what they lead to.
type HostRows interface {
	Host(host string) (*HostRow, error)
	SaveHost(*HostRow) error
	HostsOfProject(project string) ([]*HostRow, error)
	HostsOfDeployments(deployments []string) ([]*HostRow, error)
	ProductionHosts(projects []string) ([]*HostRow, error)
	HostsWithPrevious(limit int) ([]*HostRow, error)
	// DirtyHosts lists hosts whose route is not published, with what it tells
	// besides.
	DirtyHosts(limit int) ([]*HostRow, error)
	HostPublished(host string, generation int64, at time.Time) error
}

// Role says what a host is of its project.
type Role string

// The roles.
const (
	RoleProduction Role = "production"
	RoleBranch     Role = "branch"
	RoleDeployment Role = "deployment"
	RoleDomain     Role = "domain" // a custom domain; it leads where production does
)

// HostRow is one host, for ever: a host that is given up becomes a tombstone.
type HostRow struct {
	Host           string
	ProjectID      string
	UserID         string
	Role           Role
	Branch         string
	Deployment     string
	Previous       []site.Previous
	RedirectTo     string // another host that answers instead
	TakenSeq       int64  // order of the newest deployment that took it by itself
	Gone           bool
	ProtectedUntil time.Time // of a tombstone: for its former owner
	Generation     int64
	Published      int64 // the generation that stands in the bucket
	PublishedAt    time.Time
	ChangedAt      time.Time // since when its route is not published; nothing where it is

	// What its route tells besides. DirtyHosts alone reads it; nothing keeps it here.
	Pinned   bool             // the project's production
	MadeFor  site.Environment // of a deployment's own host: that deployment's
	Promoted bool             // likewise
}

// DomainRows are the custom domains. Two projects may claim one host, but one
// alone can have it verified.
type DomainRows interface {
	InsertDomain(*DomainRow) error
	// SaveDomain writes every column that can change.
	SaveDomain(*DomainRow) error
	Domain(project, host string) (*DomainRow, error)
	// Domains lists a project's domains, oldest first.
	Domains(project string) ([]*DomainRow, error)
	// VerifiedDomain returns the domain of the project that has it verified.
	VerifiedDomain(host string) (*DomainRow, error)
	// DueDomains lists domains whose next check has come, longest first.
	DueDomains(now time.Time, limit int) ([]*DomainRow, error)
	DeleteDomain(project, host string) error
	// DeleteDomains removes all domains of a project.
	DeleteDomains(project string) error
}

// DomainRow is a project's claim on a host, verified or not.
type DomainRow struct {
	ProjectID    string
	Host         string
	Token        string // what its TXT record says
	RedirectTo   string // another domain of the project
	CreatedAt    time.Time
	VerifiedAt   time.Time
	MissingSince time.Time // of a verified one
	StoppedAt    time.Time // likewise
	CheckedAt    time.Time
	NextCheck    time.Time
	Failures     int         // looks in a row that found nothing out
	Records      []DNSRecord // as they were seen last
}

// WorkRows are what control planes share their work by.
type WorkRows interface {
	// Notify tells everyone who listens, of any control plane, once the
	// transaction is committed. A note has at most MaxNote bytes.
	Notify(note string) error

	// Next draws n numbers from a counter and returns the last. They are never
	// drawn again, also where the transaction is not committed.
	Next(counter string, n int) (int64, error)
	// Counter returns what was drawn last, as the transaction sees it.
	Counter(counter string) (int64, error)
	// Raise lifts a counter to at least a value, and returns what it was.
	Raise(counter string, least int64) (int64, error)
	// Lease returns how a lease stands; the zero one: nobody has it.
	Lease(name string) (LeaseRow, error)
	// TakeLease takes or prolongs a lease, and reports whether it is held. Another
	// holder's is taken where it stands as over says.
	TakeLease(name string, take, over LeaseRow) (bool, error)
	// DropLease gives a lease back; holder "" drops whoever holds it.
	DropLease(name, holder string) error

	// PutClaim keeps a one-use token of an attempt by its hash.
	PutClaim(hash string, a Attempt, expires time.Time) error
	// TakeClaim removes the token and returns its attempt.
	TakeClaim(hash string, now time.Time) (Attempt, error)
	DeleteClaims(before time.Time) error

	InsertDetection(*DetectionRow) error
	Detection(id string) (*DetectionRow, error)
	// SaveDetection writes a detection that has not ended, and reports whether
	// it had not.
	SaveDetection(*DetectionRow) (bool, error)
	RunningDetections(now time.Time) (int, error)
	DeleteDetections(before time.Time) error
}

// LeaseRow is a lease as its holder last renewed it. The times of two holders
// are never compared: they tell one renewal from another.
type LeaseRow struct {
	Holder string
	Until  time.Time
}

// ReportRows are the last reports of work that is done now and then.
type ReportRows interface {
	PutReport(name string, at time.Time, body string) error
	// Report returns the last one; CodeNotFound where there is none.
	Report(name string) (at time.Time, body string, err error)
}

// DetectionRow is one look at a repository.
type DetectionRow struct {
	ID        string
	UserID    string
	Input     DetectInput
	Ended     bool
	Result    string // site.Detection as JSON; none: it failed
	Reason    string
	Handle    string
	CreatedAt time.Time
	Deadline  time.Time
}

// TableRows are the tables as they stand, whatever they mean: for backups and
// copies. A value is a string, an int64, or nil.
type TableRows interface {
	// SetMasterKey ties the database to a master key by its fingerprint, instead
	// of the one before: nothing may be sealed with that.
	SetMasterKey(fingerprint string) error
	// Tables lists the tables, each behind those that it refers to.
	Tables() []Table
	// EachRow shows the rows of a table, until show fails. The slice of values is
	// used again.
	EachRow(table string, show func(columns []string, values []any) error) error
	// InsertRow adds a row as EachRow showed it. Columns that it does not name
	// get their defaults; one that does not exist is an error.
	InsertRow(table string, columns []string, values []any) error
	// ClearTable removes all rows of a table.
	ClearTable(table string) error
	// Schema is the number of the last migration.
	Schema() (int64, error)
}

// Table is one table of the database.
type Table struct {
	Name string
	// Passing says that its rows are worth nothing to another database: leases,
	// sessions, one-use codes.
	Passing bool
}

// The counters.
const (
	CounterSeq        = "seq"        // orders projects and deployments
	CounterGeneration = "generation" // of routes and project records
)
