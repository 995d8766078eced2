package controlplane

import (
	"context"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// uploadIdleTime is how long an upload may rest before it is given up.
const uploadIdleTime = time.Hour

// archivesPrefix is what the bucket keys of a project's uploaded sources begin
// with.
func archivesPrefix(project string) string { return site.ProjectPrefix(project) + "archives/" }

// CreateDeployment begins a deployment of files that the client uploads by the
// upload protocol, or of an archive of sources, for which it returns the URL
// that takes it.
func (s *Service) CreateDeployment(ctx context.Context, p Principal, in UploadInput) (d *Deployment, archive *site.URL, err error) {
	if err := p.Allows(ScopeDeploy); err != nil {
		return nil, nil, err
	}
	if err := s.checkUpload(in); err != nil {
		return nil, nil, err
	}
	var row *DeploymentRow
	err = s.update(ctx, func(tx Tx, n *notes) error {
		project, err := ownProject(tx, p, in.ProjectID)
		if err != nil {
			return err
		}
		now := s.now()
		row = newDeployment(project, in.Kind, in.Message, now)
		row.Source, row.Environment = in.Source, in.Environment
		if in.Environment == "" {
			row.Environment, row.Auto = site.Preview, true
		}
		if in.Kind == KindArchive {
			row.ArchiveSize = in.ArchiveSize
		} else {
			row.Status, row.Attempt, row.StartedAt = StatusInProgress, 1, &now
		}
		beginPhase(row, site.PhaseUpload, now)
		if err := insertDeployment(tx, n, project, row); err != nil {
			return err
		}
		if in.Kind == KindArchive {
			if err := tx.CollectLater(project.ID, now.Add(archiveAge)); err != nil {
				return err
			}
		}
		d, err = s.showDeployment(tx, row)
		return err
	})
	if err != nil || in.Kind != KindArchive {
		return d, nil, err
	}
	signed, err := s.bucket.SignPut(ctx, row.ArchiveKey, in.ArchiveSize, in.ArchiveSHA256, site.UploadURLTime)
	if err != nil {
		return nil, nil, err
	}
	return d, (*site.URL)(&signed), nil
}

func (s *Service) checkUpload(in UploadInput) error {
	switch in.Kind {
	case KindFiles:
	case KindArchive:
		if in.ArchiveSize <= 0 {
			return Invalid("archiveSize", "Give the archive's length in bytes.")
		}
		if in.ArchiveSize > s.config.Limits.ArchiveBytes {
			return Errorf(CodeTooLarge, "The archive has %s, the most is %s.", mebibytes(in.ArchiveSize), mebibytes(s.config.Limits.ArchiveBytes))
		}
		if in.ArchiveSHA256 == (site.Hash{}) {
			return Invalid("archiveSHA256", "Give the archive's sha256.")
		}
	default:
		return Invalid("kind", "%q is not one of files and archive.", in.Kind)
	}
	if err := checkSource(in.Source); err != nil {
		return err
	}
	return checkAsked(in.Environment, in.Message)
}

// checkSource bounds what a client or a builder says of the files' origin.
func checkSource(f site.Source) error {
	for _, field := range []struct {
		name, value string
		most        int
	}{{"repository", f.Repository, 2048}, {"branch", f.Branch, 255}, {"commit", f.Commit, 64}, {"message", f.Message, 10_000}, {"author", f.Author, 500}, {"framework", f.Framework, 100}} {
		if len(field.value) > field.most {
			return Invalid("source."+field.name, "Use at most %d characters.", field.most)
		}
	}
	return nil
}

// uploadTarget is the deployment that a call of the upload protocol is about.
type uploadTarget struct {
	d *DeploymentRow
	p *ProjectRow
}

// target finds the deployment for an actor who may upload to it: the builder of
// its running attempt, or its owner's client where the files are the client's.
// A ready one is returned as well.
func (s *Service) target(tx Tx, a Actor, id string) (t uploadTarget, err error) {
	if a.Attempt != nil {
		if t.d, err = tx.Deployment(id); err != nil {
			return t, err
		}
		if a.Attempt.Detection || a.Attempt.Deployment != id || a.Attempt.Number != t.d.Attempt {
			return t, missingDeployment(id)
		}
		t.p, err = tx.Project(t.d.ProjectID)
	} else {
		if a.Principal == nil {
			return t, Errorf(CodeUnauthorized, "Sign in first.")
		}
		if err := a.Principal.Allows(ScopeDeploy); err != nil {
			return t, err
		}
		if t.d, t.p, err = ownDeployment(tx, *a.Principal, id); err == nil && t.d.Kind == KindGit {
			return t, Errorf(CodeConflict, "This deployment is built from a repository: only its builder may upload.")
		}
	}
	if err != nil {
		return t, err
	}
	if t.d.Status == StatusFail || t.d.Status == StatusCanceled {
		return t, Errorf(CodeConflict, "The deployment has ended: it is %s. %s", t.d.Status, t.d.Reason)
	}
	return t, nil
}

// uploading is target for calls that files alone get, before they are ready. It
// notes that the upload goes on.
func (s *Service) uploading(ctx context.Context, a Actor, id string) (t uploadTarget, err error) {
	err = s.store.Update(ctx, func(tx Tx) error {
		if t, err = s.target(tx, a, id); err != nil {
			return err
		}
		if a.Principal != nil && t.d.Kind == KindArchive {
			return Errorf(CodeConflict, "This deployment is built from an archive: only its builder may upload files.")
		}
		if t.d.Status != StatusInProgress {
			return Errorf(CodeConflict, "The deployment is %s: nothing can be uploaded to it.", t.d.Status)
		}
		_, err := tx.Heard(id, t.d.Attempt, 0, s.now())
		return err
	})
	return t, err
}
