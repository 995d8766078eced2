package controlplane

import "context"

// notes collects, inside a transaction, what others are told once it has been
// committed.
type notes struct {
	deployments     []*DeploymentRow
	projects        []*ProjectRow
	removed         []Change
	removedOwner    string
	detections      []string // that have ended
	manifests       []string // keys of those that were written
	queued, publish bool
	then            []func() // what else is done then
	sweep           bool     // files of a deleted project can go
}

// update runs f in a transaction and, if that was committed, tells those who
// wait for what f noted, on this control plane and on the others.
func (s *Service) update(ctx context.Context, f func(tx Tx, n *notes) error) error {
	n := &notes{}
	err := s.store.Update(ctx, func(tx Tx) error {
		*n = notes{}
		if err := f(tx, n); err != nil {
			return err
		}
		return s.tellOthers(tx, n.news())
	})
	if err != nil {
		return err
	}
	for _, d := range n.deployments {
		s.metrics.observe(d)
	}
	for _, f := range n.then {
		f()
	}
	s.tellOwn(n.news())
	return nil
}

// news is what the notes are for those who wait.
func (n *notes) news() news {
	w := news{Queued: n.queued, Publish: n.publish, Sweep: n.sweep, Detections: n.detections, Manifests: n.manifests}
	for _, p := range n.projects {
		w.Changes = append(w.Changes, ownedChange{p.UserID, Change{Type: "project", Project: p.ID, Deleted: p.State == projectDeleted}})
	}
	for _, d := range n.deployments {
		w.Changes = append(w.Changes, ownedChange{d.UserID, Change{Type: "deployment", Project: d.ProjectID, Deployment: d.ID, Status: d.Status, Phase: string(d.Phase)}})
	}
	for _, c := range n.removed {
		w.Changes = append(w.Changes, ownedChange{n.removedOwner, c})
	}
	return w
}
