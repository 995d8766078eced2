package controlplane

import "context"

type logMeters struct{}

func newLogMeters() *logMeters { return nil }

const sweeperLease = "sweeper"

func (s *Service) recoverBuilds(ctx context.Context) error { return nil }
func (s *Service) runDispatcher(ctx context.Context)       {}
func (s *Service) runSweeper(ctx context.Context)          {}
func (s *Service) drain(ctx context.Context) error         { return nil }
func (s *Service) endBuilder(handle string)                {}
