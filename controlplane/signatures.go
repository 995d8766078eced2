package controlplane

import (
	"context"
)

var errLater = Errorf(CodeUnavailable, "being written")

const sweeperLease = "sweeper"

func (s *Service) runSweeper(ctx context.Context) {}

func (s *Service) DeleteProject(ctx context.Context, p Principal, id string) error { return errLater }

func (s *Service) DeleteDeployment(ctx context.Context, p Principal, id string) error {
	return errLater
}
func (s *Service) Files(ctx context.Context, p Principal, id string, page FilePage) (files []FileInfo, next string, err error) {
	return nil, "", errLater
}
