package controlplane

import (
	"context"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

var errLater = Errorf(CodeUnavailable, "being written")

func (s *Service) Start(ctx context.Context) error { return errLater }
func (s *Service) Stop(ctx context.Context) error  { return errLater }

func (s *Service) CreateProject(ctx context.Context, p Principal, in ProjectInput) (*Project, error) {
	return nil, errLater
}
func (s *Service) Projects(ctx context.Context, p Principal, page Page) (items []*Project, next string, err error) {
	return nil, "", errLater
}
func (s *Service) Project(ctx context.Context, p Principal, idOrSubDomain string) (*Project, error) {
	return nil, errLater
}
func (s *Service) UpdateProject(ctx context.Context, p Principal, id string, patch ProjectPatch) (*Project, error) {
	return nil, errLater
}
func (s *Service) DeleteProject(ctx context.Context, p Principal, id string) error { return errLater }
func (s *Service) SuspendProject(ctx context.Context, p Principal, id string, suspended bool) (*Project, error) {
	return nil, errLater
}
func (s *Service) ResumeProject(ctx context.Context, p Principal, id string) (*Project, error) {
	return nil, errLater
}
func (s *Service) Detect(ctx context.Context, p Principal, in DetectInput) (*site.Detection, error) {
	return nil, errLater
}
func (s *Service) Deploy(ctx context.Context, p Principal, in DeployInput) (*Deployment, error) {
	return nil, errLater
}
func (s *Service) CreateDeployment(ctx context.Context, p Principal, in UploadInput) (*Deployment, *site.URL, error) {
	return nil, nil, errLater
}
func (s *Service) PutManifest(ctx context.Context, a Actor, id string, encoded []byte) error {
	return errLater
}
func (s *Service) KnownBlobs(ctx context.Context, a Actor, projectID string, hashes []site.Hash) ([]site.KnownBlob, error) {
	return nil, errLater
}
func (s *Service) Uploads(ctx context.Context, a Actor, id string) (*site.UploadsResponse, error) {
	return nil, errLater
}
func (s *Service) Publish(ctx context.Context, a Actor, id string) (*Deployment, error) {
	return nil, errLater
}
func (s *Service) Deployments(ctx context.Context, p Principal, f DeploymentFilter, page Page) (items []*Deployment, next string, err error) {
	return nil, "", errLater
}

// id may be the deployment's id; within a project, ProjectDeployment finds it by its hostId too.
func (s *Service) Deployment(ctx context.Context, p Principal, id string) (*Deployment, error) {
	return nil, errLater
}
func (s *Service) ProjectDeployment(ctx context.Context, p Principal, project, idOrHostID string) (*Deployment, error) {
	return nil, errLater
}
func (s *Service) Cancel(ctx context.Context, p Principal, id string) (*Deployment, error) {
	return nil, errLater
}
func (s *Service) Promote(ctx context.Context, p Principal, id string, in PromoteInput) (*Deployment, error) {
	return nil, errLater
}
func (s *Service) Retry(ctx context.Context, p Principal, id string) (*Deployment, error) {
	return nil, errLater
}
func (s *Service) DeleteDeployment(ctx context.Context, p Principal, id string) error {
	return errLater
}
func (s *Service) Files(ctx context.Context, p Principal, id string, page FilePage) (files []FileInfo, next string, err error) {
	return nil, "", errLater
}
func (s *Service) Logs(ctx context.Context, p Principal, id string, q LogQuery) (lines []LogLine, next string, err error) {
	return nil, "", errLater
}

// FollowLogs: history, then live, until the deployment has ended and everything was sent (then the channel is closed), or ctx ends.
func (s *Service) FollowLogs(ctx context.Context, p Principal, id, after string) (<-chan LogEvent, error) {
	return nil, errLater
}

// Changes: closed when ctx ends, or the reader was too slow (it then reads everything again).
func (s *Service) Changes(ctx context.Context, p Principal) (<-chan Change, error) {
	return nil, errLater
}
func (s *Service) Claim(ctx context.Context, token string) (*site.Job, error) { return nil, errLater }
func (s *Service) AuthenticateAttempt(ctx context.Context, bearer string) (Actor, error) {
	return Actor{}, errLater
}
func (s *Service) HandleEvents(ctx context.Context, a Actor, attemptID string, events []site.Event) (canceled bool, err error) {
	return false, errLater
}

// Ready pings database, logs and bucket; the map is by the part's name (nil: well).
func (s *Service) Ready(ctx context.Context) map[string]error { return nil }

// buildEnv is written by the owner of env vars (envvar.go); delete this one then.
func (s *Service) buildEnv(ctx context.Context, project string, env site.Environment) ([]site.EnvVar, error) {
	return nil, nil
}
