package controlplane

import "context"

// Abandon ends the work in the background as a kill does: nothing is drained,
// published or given back.
func (s *Service) Abandon() {
	s.mu.Lock()
	s.stopping = true
	cancel := s.cancel
	s.mu.Unlock()
	close(s.stopped)
	if cancel != nil {
		cancel()
	}
	s.running.Wait()
}

// SweepOnce does what the sweeper does in the background.
func (s *Service) SweepOnce(ctx context.Context) error {
	_, err := s.sweepOnce(ctx)
	return err
}

// Collect frees what a project no longer needs.
func (s *Service) Collect(ctx context.Context, project string) error {
	return s.collect(ctx, newGarbage(s.now(), false), project)
}

// ExpireOne removes a deployment that a round found to have expired.
func (s *Service) ExpireOne(ctx context.Context, d *DeploymentRow) error {
	return s.expireOne(ctx, newGarbage(s.now(), false), d)
}

// CheckDomainsOnce does one round of looks at domains, as in the background.
func (s *Service) CheckDomainsOnce(ctx context.Context) error {
	_, err := s.checkDomainsOnce(ctx)
	return err
}
