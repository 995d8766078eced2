package controlplane

import (
	"context"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

var errLater = Errorf(CodeUnavailable, "being written")

func (s *Service) DeleteProject(ctx context.Context, p Principal, id string) error { return errLater }
func (s *Service) Detect(ctx context.Context, p Principal, in DetectInput) (*site.Detection, error) {
	return nil, errLater
}
func (s *Service) DeleteDeployment(ctx context.Context, p Principal, id string) error {
	return errLater
}
func (s *Service) Files(ctx context.Context, p Principal, id string, page FilePage) (files []FileInfo, next string, err error) {
	return nil, "", errLater
}
func (s *Service) Claim(ctx context.Context, token string) (*site.Job, error) { return nil, errLater }
func (s *Service) AuthenticateAttempt(ctx context.Context, bearer string) (Actor, error) {
	return Actor{}, errLater
}
func (s *Service) HandleEvents(ctx context.Context, a Actor, attemptID string, events []site.Event) (canceled bool, err error) {
	return false, errLater
}
