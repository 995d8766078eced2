package controlplane

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Deploy queues a deployment of the project's repository. A queued one of the
// same branch that is older is superseded by it.
func (s *Service) Deploy(ctx context.Context, p Principal, in DeployInput) (d *Deployment, err error) {
	if err := p.Allows(ScopeDeploy); err != nil {
		return nil, err
	}
	if err := checkDeploy(in); err != nil {
		return nil, err
	}
	err = s.update(ctx, func(tx Tx, n *notes) error {
		project, err := ownProject(tx, p, in.ProjectID)
		if err != nil {
			return err
		}
		if in.IdempotencyKey != "" {
			first, err := tx.DeploymentByKey(project.UserID, in.IdempotencyKey)
			if err == nil && first.ProjectID != project.ID {
				return Errorf(CodeConflict, "This idempotency key was used for another project.")
			}
			if CodeOf(err) != CodeNotFound {
				if err == nil {
					d, err = s.showDeployment(tx, first)
				}
				return err
			}
		}
		if project.GitURL == "" {
			return Invalid("projectId", "The project has no repository: set its gitURL, or deploy a folder.")
		}
		row := newDeployment(project, KindGit, in.Message, s.now())
		row.WantBranch, row.WantCommit, row.NoCache, row.IdempotencyKey = in.Branch, in.Commit, in.NoCache, in.IdempotencyKey
		if row.WantBranch == "" {
			row.WantBranch = project.ProductionBranch
		}
		row.Environment = in.Environment
		if in.Environment == "" {
			row.Environment, row.Auto = site.Preview, true
			if row.WantBranch == project.ProductionBranch {
				row.Environment, row.Auto = site.Production, false
			}
		}
		d, err = s.enqueue(tx, n, project, row)
		return err
	})
	return d, err
}

func checkDeploy(in DeployInput) error {
	if err := checkBranch("branch", in.Branch); err != nil {
		return err
	}
	if err := checkCommit(in.Commit); err != nil {
		return err
	}
	if len(in.IdempotencyKey) > 255 || !printable(in.IdempotencyKey) {
		return Invalid("Idempotency-Key", "Use at most 255 characters.")
	}
	return checkAsked(in.Environment, in.Message)
}

func checkAsked(e site.Environment, message string) error {
	if e != "" && e != site.Production && e != site.Preview {
		return Invalid("environment", "%q is not one of production and preview.", e)
	}
	if len(message) > 2000 || !utf8.ValidString(message) || strings.ContainsRune(message, 0) {
		return Invalid("message", "Use at most 2000 characters.")
	}
	return nil
}

// newDeployment begins a row; its seq and host id come with the insert.
func newDeployment(p *ProjectRow, kind Kind, message string, now time.Time) *DeploymentRow {
	return &DeploymentRow{
		Deployment: Deployment{
			ID: uuid.NewString(), ProjectID: p.ID, Kind: kind, Status: StatusQueued, Message: message, CreatedAt: now, UpdatedAt: now,
		},
		UserID: p.UserID, HeardAt: now,
	}
}

// insertDeployment draws the row's seq and host id, and inserts it.
func insertDeployment(tx Tx, n *notes, p *ProjectRow, row *DeploymentRow) (err error) {
	if p.State != site.ProjectActive {
		return Errorf(CodeConflict, "The project is suspended: nothing can be deployed.")
	}
	for {
		row.HostID = row.ID[:site.HostIDLength]
		_, err := tx.DeploymentByHostID(p.ID, row.HostID)
		if CodeOf(err) == CodeNotFound {
			break
		}
		if err != nil {
			return err
		}
		row.ID = uuid.NewString()
	}
	if row.Kind == KindArchive && row.ArchiveKey == "" {
		row.ArchiveKey = archivesPrefix(p.ID) + row.ID
	}
	if row.Seq, err = tx.Next(CounterSeq, 1); err != nil {
		return err
	}
	n.deployments = append(n.deployments, row)
	return tx.InsertDeployment(row)
}

// enqueue inserts a deployment that waits for a builder, and cancels the queued
// ones that it supersedes.
func (s *Service) enqueue(tx Tx, n *notes, p *ProjectRow, row *DeploymentRow) (*Deployment, error) {
	row.Dispatchable = true
	if row.Kind == KindGit {
		row.Source = site.Source{Repository: p.GitURL, Branch: row.WantBranch, Commit: row.WantCommit}
	}
	if err := insertDeployment(tx, n, p, row); err != nil {
		return nil, err
	}
	if row.Kind == KindGit {
		active, err := tx.ActiveDeployments(p.ID)
		if err != nil {
			return nil, err
		}
		for _, o := range active {
			if o.Status != StatusQueued || !supersedes(row, o) {
				continue
			}
			if err := transit(tx, s.now(), o, move{to: StatusCanceled, reason: supersededReason(row)}); err != nil {
				return nil, err
			}
			n.deployments = append(n.deployments, o)
		}
	}
	n.queued = true
	return s.showDeployment(tx, row)
}

// supersedes reports whether a deployment takes the place of an older one that
// waits. Production and preview of one branch are different things.
func supersedes(newer, older *DeploymentRow) bool {
	return newer.Kind == KindGit && older.Kind == KindGit && newer.Seq > older.Seq &&
		newer.WantBranch == older.WantBranch && newer.Environment == older.Environment
}

// supersededBy returns the queued deployment that takes the place of d, or nil.
func supersededBy(tx Tx, d *DeploymentRow) (*DeploymentRow, error) {
	active, err := tx.ActiveDeployments(d.ProjectID)
	if err != nil {
		return nil, err
	}
	for _, other := range active {
		if other.Status == StatusQueued && supersedes(other, d) {
			return other, nil
		}
	}
	return nil, nil
}

func supersededReason(newer *DeploymentRow) string {
	return "Superseded by a newer deployment of the same branch (" + newer.HostID + ")."
}

// Deployments lists deployments of the principal's projects, newest first.
func (s *Service) Deployments(ctx context.Context, p Principal, f DeploymentFilter, page Page) (items []*Deployment, next string, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, "", err
	}
	limit, before, err := page.read()
	if err != nil {
		return nil, "", err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		owner := p.UserID
		if f.ProjectID != "" {
			project, err := ownProject(tx, p, f.ProjectID)
			if err != nil {
				return err
			}
			f.ProjectID, owner = project.ID, project.UserID
		}
		rows, err := tx.Deployments(DeploymentQuery{DeploymentFilter: f, UserID: owner, Before: before, Limit: limit + 1})
		if err != nil {
			return err
		}
		if len(rows) > limit {
			rows = rows[:limit]
			next = pageCursor(rows[limit-1].Seq)
		}
		items, err = s.showDeployments(tx, rows)
		return err
	})
	return items, next, err
}

// Deployment returns one deployment of the principal's.
func (s *Service) Deployment(ctx context.Context, p Principal, id string) (d *Deployment, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		row, _, err := ownDeployment(tx, p, id)
		if err == nil {
			d, err = s.showDeployment(tx, row)
		}
		return err
	})
	return d, err
}

// ProjectDeployment returns a deployment of one project by its id or its
// hostId.
func (s *Service) ProjectDeployment(ctx context.Context, p Principal, project, idOrHostID string) (d *Deployment, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(tx Tx) error {
		own, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		row, err := tx.DeploymentByHostID(own.ID, idOrHostID)
		if CodeOf(err) == CodeNotFound {
			row, err = tx.Deployment(idOrHostID)
		}
		if err == nil && row.ProjectID != own.ID {
			err = missingDeployment(idOrHostID)
		}
		if err == nil {
			d, err = s.showDeployment(tx, row)
		}
		return err
	})
	return d, err
}

// ownDeployment returns a deployment of the principal's, and its project.
func ownDeployment(tx Tx, p Principal, id string) (*DeploymentRow, *ProjectRow, error) {
	row, err := tx.Deployment(id)
	if err != nil {
		return nil, nil, err
	}
	project, err := ownProject(tx, p, row.ProjectID)
	if CodeOf(err) == CodeNotFound {
		err = missingDeployment(id)
	}
	return row, project, err
}

func missingDeployment(id string) error {
	return Errorf(CodeNotFound, "There is no deployment %s.", id)
}

// changeDeployment edits one deployment of the principal's in a transaction.
func (s *Service) changeDeployment(ctx context.Context, p Principal, id string, edit func(Tx, *notes, *ProjectRow, *DeploymentRow) error) (d *Deployment, err error) {
	if err := p.Allows(ScopeDeploy); err != nil {
		return nil, err
	}
	err = s.update(ctx, func(tx Tx, n *notes) error {
		row, project, err := ownDeployment(tx, p, id)
		if err != nil {
			return err
		}
		if err := edit(tx, n, project, row); err != nil {
			return err
		}
		n.deployments = append(n.deployments, row)
		d, err = s.showDeployment(tx, row)
		return err
	})
	return d, err
}

// Cancel ends a deployment that is queued or in progress, and its builder.
func (s *Service) Cancel(ctx context.Context, p Principal, id string) (*Deployment, error) {
	handle := ""
	d, err := s.changeDeployment(ctx, p, id, func(tx Tx, n *notes, _ *ProjectRow, d *DeploymentRow) error {
		if d.Status.Ended() {
			return Errorf(CodeConflict, "The deployment has ended already: it is %s.", d.Status)
		}
		handle = d.Handle
		n.queued = true
		return transit(tx, s.now(), d, move{to: StatusCanceled, reason: "Canceled by a person."})
	})
	if err == nil {
		s.endBuilder(handle)
	}
	return d, err
}

// Retry makes a new deployment of what an ended one was made from.
func (s *Service) Retry(ctx context.Context, p Principal, id string) (again *Deployment, err error) {
	if err := p.Allows(ScopeDeploy); err != nil {
		return nil, err
	}
	if err := s.checkArchive(ctx, p, id); err != nil {
		return nil, err
	}
	err = s.update(ctx, func(tx Tx, n *notes) error {
		old, project, err := ownDeployment(tx, p, id)
		if err != nil {
			return err
		}
		switch {
		case !old.Status.Ended():
			return Errorf(CodeConflict, "The deployment is still %s.", old.Status)
		case old.Kind == KindFiles:
			return Errorf(CodeConflict, "The files of this deployment came from a client: deploy the folder again.")
		case old.Kind == KindArchive && !old.Dispatchable:
			return Errorf(CodeConflict, "The sources were never uploaded: send them again.")
		case old.Kind == KindGit && project.GitURL == "":
			return Errorf(CodeConflict, "The project has no repository any more.")
		}
		row := newDeployment(project, old.Kind, old.Message, s.now())
		row.Environment, row.Auto, row.RetryOf, row.NoCache = old.Environment, old.Auto, old.ID, old.NoCache
		row.WantBranch, row.WantCommit = old.WantBranch, old.Source.Commit
		row.ArchiveSize, row.ArchiveKey = old.ArchiveSize, old.ArchiveKey
		row.Source = old.Source
		if old.Kind == KindArchive {
			row.WantBranch, row.WantCommit = "", ""
		}
		again, err = s.enqueue(tx, n, project, row)
		return err
	})
	return again, err
}

// checkArchive says whether the sources of an archive's deployment are still
// kept.
func (s *Service) checkArchive(ctx context.Context, p Principal, id string) error {
	var d *DeploymentRow
	err := s.store.View(ctx, func(tx Tx) (err error) {
		d, _, err = ownDeployment(tx, p, id)
		return err
	})
	if err != nil || d.Kind != KindArchive {
		return err
	}
	_, err = s.bucket.Stat(ctx, d.ArchiveKey)
	if errors.Is(err, fs.ErrNotExist) {
		return Errorf(CodeConflict, "The uploaded sources are no longer kept: send them again.")
	}
	return err
}
