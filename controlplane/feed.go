package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// news is what a transaction has changed, for pages, followers of logs and the
// work in the background. It crosses to other control planes as a note of the
// store, so it holds nothing but ids and states: who hears of a change reads
// what is new.
type news struct {
	From       string        `json:"from,omitempty"` // which control plane
	Queued     bool          `json:"queued,omitempty"`
	Publish    bool          `json:"publish,omitempty"`
	Sweep      bool          `json:"sweep,omitempty"`
	Detections []string      `json:"detections,omitempty"` // that have ended
	Manifests  []string      `json:"manifests,omitempty"`  // keys of those that were written
	Changes    []ownedChange `json:"changes,omitempty"`
}

type ownedChange struct {
	User string `json:"user"`
	Change
}

// tellOthers notifies the other control planes, in as many notes as it takes.
func (s *Service) tellOthers(tx Tx, w news) error {
	if !w.Queued && !w.Publish && !w.Sweep && len(w.Detections)+len(w.Manifests)+len(w.Changes) == 0 {
		return nil
	}
	w.From = s.holder
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if len(text) <= MaxNote {
		return tx.Notify(string(text))
	}
	if len(w.Changes) < 2 {
		return fmt.Errorf("a note of %d bytes can't be sent", len(text)) // ids are short: it can't be
	}
	half := len(w.Changes) / 2
	rest := news{Changes: w.Changes[half:]}
	w.Changes = w.Changes[:half]
	if err := s.tellOthers(tx, w); err != nil {
		return err
	}
	return s.tellOthers(tx, rest)
}

// tellOwn tells who waits on this control plane.
func (s *Service) tellOwn(w news) {
	if w.Queued {
		wake(s.wakeDispatcher)
	}
	if w.Publish {
		wake(s.wakePublisher)
	}
	if w.Sweep {
		wake(s.wakeSweeper)
	}
	for _, id := range w.Detections {
		s.lines.changed(id)
	}
	for _, c := range w.Changes {
		s.changes.send(c.User, c.Change)
		if c.Deployment != "" {
			s.lines.changed(c.Deployment)
		}
	}
}

// listenTime is how long a start waits until nothing that other control planes
// tell is missed.
const listenTime = 15 * time.Second

// startFeed begins to listen to other control planes until work ends.
func (s *Service) startFeed(ctx, work context.Context) error {
	listening := make(chan struct{})
	begun := false
	s.spawn(func() {
		s.store.Listen(work, s.heard, func() {
			if begun {
				s.missed()
				return
			}
			begun = true
			close(listening)
		})
	})
	ctx, cancel := context.WithTimeout(ctx, listenTime)
	defer cancel()
	select {
	case <-listening:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("listen to the other control planes by the database: %w", ctx.Err())
	}
}

func (s *Service) heard(note string) {
	var w news
	if err := json.Unmarshal([]byte(note), &w); err != nil {
		s.log.Error("a note of another control plane can't be read", "error", err)
		return
	}
	if w.From == s.holder {
		return
	}
	for _, key := range w.Manifests {
		s.manifests.drop(key)
	}
	for _, c := range w.Changes {
		if c.Status.Ended() || c.Deleted {
			s.endedElsewhere(c.Change)
		}
	}
	s.tellOwn(w)
}

// endedElsewhere forgets what is kept for a deployment that another control
// plane has ended. A builder whose deployment is canceled need not be waited
// for.
func (s *Service) endedElsewhere(c Change) {
	if c.Deployment == "" {
		return
	}
	s.uploads.drop(c.Deployment)
	s.meters.drop(c.Deployment)
	if c.Status != StatusCanceled {
		return
	}
	for handle, a := range s.builders.all() {
		if a.Deployment == c.Deployment {
			s.endBuilder(handle)
		}
	}
}

// missed has everyone look for themselves: pages are cut off, so that they read
// everything again.
func (s *Service) missed() {
	s.manifests.clear()
	s.changes.cut()
	s.lines.allChanged()
	for _, bell := range []chan struct{}{s.wakeDispatcher, s.wakePublisher, s.wakeSweeper, s.wakeWatcher} {
		wake(bell)
	}
}
