package controlplane

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	attemptTokenPrefix = "mva_"
	claimTokenPrefix   = "mvc_"
)

var errAttemptToken = Errorf(CodeUnauthorized, "This attempt is over, or the token is not one of an attempt.")

// attemptToken makes the token of an attempt. It is recomputed, never stored.
func (s *Service) attemptToken(a Attempt) string {
	mac := hmac.New(sha256.New, DeriveKey(s.config.MasterKey, "attempts"))
	fmt.Fprintf(mac, "attempt|%s|%d", a.Deployment, a.Number)
	return attemptTokenPrefix + a.ID() + "_" + hex.EncodeToString(mac.Sum(nil))
}

// AuthenticateAttempt returns the actor that an attempt's token stands for. The
// token is good only while that attempt is its deployment's current one, and
// runs.
func (s *Service) AuthenticateAttempt(ctx context.Context, bearer string) (Actor, error) {
	id, _, found := strings.Cut(strings.TrimPrefix(bearer, attemptTokenPrefix), "_")
	a, ok := parseAttempt(id)
	if !found || !ok || !hmac.Equal([]byte(bearer), []byte(s.attemptToken(a))) {
		return Actor{}, errAttemptToken
	}
	err := s.store.View(ctx, func(tx Tx) error { return s.current(tx, &a) })
	if err != nil {
		return Actor{}, err
	}
	return Actor{Attempt: &a}, nil
}

// current completes an attempt, or says that it is over.
func (s *Service) current(tx Tx, a *Attempt) error {
	d, err := tx.Deployment(a.Deployment)
	if err == nil {
		a.Project, a.Created, a.Detection = d.ProjectID, d.CreatedAt, false
		if d.Status != StatusInProgress || d.Attempt != a.Number || d.Kind == KindFiles {
			return errAttemptToken
		}
		return nil
	}
	if CodeOf(err) != CodeNotFound {
		return err
	}
	detection, err := tx.Detection(a.Deployment)
	if CodeOf(err) == CodeNotFound {
		return errAttemptToken
	}
	if err != nil {
		return err
	}
	a.Detection = true
	if detection.Ended || a.Number != 1 || s.now().After(detection.Deadline.Add(s.clockSlack())) {
		return errAttemptToken
	}
	return nil
}

// newClaim makes a one-use token and keeps its hash.
func (s *Service) newClaim(tx Tx, a Attempt) (token string, err error) {
	token = claimTokenPrefix + rand.Text()
	return token, tx.PutClaim(hashToken(token), a, s.now().Add(s.config.ClaimTime))
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Claim exchanges a builder's one-use token for its job.
func (s *Service) Claim(ctx context.Context, token string) (*site.Job, error) {
	var a Attempt
	var d *DeploymentRow
	var p *ProjectRow
	var input DetectInput
	err := s.update(ctx, func(tx Tx, n *notes) (err error) {
		d = nil
		if a, err = tx.TakeClaim(hashToken(token), s.now().Add(-s.clockSlack())); err != nil {
			if CodeOf(err) == CodeNotFound {
				return Errorf(CodeUnauthorized, "This claim was used already, has expired, or is not one.")
			}
			return err
		}
		if err := s.current(tx, &a); err != nil {
			return err
		}
		if a.Detection {
			detection, err := tx.Detection(a.Deployment)
			if err == nil {
				input = detection.Input
			}
			return err
		}
		if d, err = tx.Deployment(a.Deployment); err != nil {
			return err
		}
		if p, err = tx.Project(d.ProjectID); err != nil {
			return err
		}
		return s.begin(tx, d)
	})
	if err != nil {
		return nil, err
	}
	if d != nil && d.StartedAt != nil {
		s.metrics.started.Observe(s.now().Sub(*d.StartedAt).Seconds())
	}
	job := &site.Job{
		Kind: site.JobBuild, AttemptID: a.ID(), Token: s.attemptToken(a), Deployment: a.Deployment, Attempt: a.Number, Project: a.Project,
		Env: []site.EnvVar{}, Limits: s.config.Limits,
	}
	if a.Detection {
		job.Kind = site.JobDetect
		job.Git = &site.GitSource{URL: input.GitURL, Branch: input.Branch, AllowLocal: s.isLocalGit(input.GitURL)}
		job.Build.RootDirectory = input.RootDirectory
		job.Limits.CloneTime = min(job.Limits.CloneTime, s.config.DetectTime)
		return job, nil
	}
	return job, s.fillJob(ctx, job, p, d)
}

// begin notes that a builder has come for its attempt, and settles for which
// environment it builds: a project's first deployment is for production.
func (s *Service) begin(tx Tx, d *DeploymentRow) error {
	d.HeardAt = s.now()
	if d.Auto && d.Environment != site.Production {
		if _, err := tx.NewestReady(d.ProjectID, ""); CodeOf(err) == CodeNotFound {
			d.Environment = site.Production
		} else if err != nil {
			return err
		}
	}
	_, err := tx.SaveDeployment(d, StatusInProgress, d.Attempt)
	return err
}

// fillJob adds what a build needs of its project.
func (s *Service) fillJob(ctx context.Context, job *site.Job, p *ProjectRow, d *DeploymentRow) (err error) {
	job.Build, job.NoCache = p.BuildSettings, d.NoCache
	if d.Kind == KindArchive {
		if job.Archive, err = s.archiveURL(ctx, d); err != nil {
			return err
		}
	} else {
		job.Git = &site.GitSource{URL: p.GitURL, Branch: d.WantBranch, Commit: d.WantCommit, AllowLocal: s.isLocalGit(p.GitURL)}
		c, err := s.credentials(p)
		if err != nil {
			return err
		}
		if c != nil {
			job.Git.Username, job.Git.Password = c.Username, c.Password
		}
	}
	if job.Env, err = s.buildEnv(ctx, p.ID, d.Environment); err != nil {
		return err
	}
	own := s.siteURL(site.DeploymentHost(d.HostID, p.SubDomain, s.config.BaseDomain))
	for _, v := range []site.EnvVar{{Name: "MINI_VERCEL_ENV", Value: string(d.Environment)}, {Name: "MINI_VERCEL_URL", Value: own}} {
		if !hasEnv(job.Env, v.Name) {
			job.Env = append(job.Env, v)
		}
	}
	return nil
}

func hasEnv(env []site.EnvVar, name string) bool {
	for _, v := range env {
		if v.Name == name {
			return true
		}
	}
	return false
}

// encodeDetection writes what a detection found, for its row.
func encodeDetection(d *site.Detection) (string, error) {
	b, err := json.Marshal(d)
	return string(b), err
}
