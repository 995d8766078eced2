package controlplane

import "context"

// notes collects, inside a transaction, what others are told once it has been
// committed.
type notes struct {
	deployments     []*DeploymentRow
	projects        []*ProjectRow
	removed         []Change
	removedOwner    string
	queued, publish bool
	then            []func() // what else is done then
}

// update runs f in a transaction and, if that was committed, tells those who
// wait for what f noted.
func (s *Service) update(ctx context.Context, f func(tx Tx, n *notes) error) error {
	n := &notes{}
	if err := s.store.Update(ctx, func(tx Tx) error { *n = notes{}; return f(tx, n) }); err != nil {
		return err
	}
	if n.queued {
		wake(s.wakeDispatcher)
	}
	if n.publish {
		wake(s.wakePublisher)
	}
	for _, p := range n.projects {
		s.changes.send(p.UserID, Change{Type: "project", Project: p.ID, Deleted: p.State == projectDeleted})
	}
	for _, d := range n.deployments {
		s.metrics.observe(d)
		s.tellDeployment(d)
	}
	for _, f := range n.then {
		f()
	}
	for _, c := range n.removed {
		s.changes.send(n.removedOwner, c)
	}
	return nil
}

// tellDeployment tells pages and followers of logs that a deployment changed.
func (s *Service) tellDeployment(d *DeploymentRow) {
	s.changes.send(d.UserID, Change{Type: "deployment", Project: d.ProjectID, Deployment: d.ID, Status: d.Status, Phase: string(d.Phase)})
	s.lines.changed(d.ID)
}
