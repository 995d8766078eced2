package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	garbageLease = "garbage"
	garbageTime  = time.Hour // of one go; a round that takes longer goes on after it
	lookEvery    = 3 * time.Second
)

// noteEvery is how often a round keeps how far it is; a variable for tests.
var noteEvery = 2 * time.Second

// GarbageRound is a look at all projects that an administrator asked for. It goes
// on in the background, at one control plane at a time, whoever follows it; what
// is interrupted is carried on by the next.
type GarbageRound struct {
	ID       string       `json:"id"`
	State    GarbageState `json:"state"`
	Projects int          `json:"projects"` // how many there are; 0: not known yet
	Looked   int          `json:"looked"`   // projects that it has looked at
	After    string       `json:"after,omitempty"`
	Problem  string       `json:"problem,omitempty"` // what interrupted it; it is tried again
	Garbage  *Garbage     `json:"garbage"`           // what it has found or removed until now
}

// GarbageState is how far a round is.
type GarbageState string

// The states of a round, in their order.
const (
	GarbageWaiting GarbageState = "waiting"
	GarbageRunning GarbageState = "running"
	GarbageDone    GarbageState = "done"
)

// BeginGarbage has everything that is no longer needed removed now, or with dry
// looked at, which writes nothing but the round itself. Where such a round goes
// on, it is that one. Only an administrator may ask.
func (s *Service) BeginGarbage(ctx context.Context, p Principal, dry bool) (*GarbageRound, error) {
	if err := allowsOperation(p); err != nil {
		return nil, err
	}
	var round *GarbageRound
	err := s.store.Update(ctx, func(tx Tx) (err error) {
		round, err = roundOf(tx)
		switch {
		case err != nil && CodeOf(err) != CodeNotFound:
			return err
		case err == nil && round.State != GarbageDone && round.Garbage.DryRun != dry:
			return Errorf(CodeConflict, "Another look at all projects goes on (%d of %d): try again when it has ended.", round.Looked, round.Projects)
		case err == nil && round.State != GarbageDone:
			return nil
		}
		round = &GarbageRound{ID: uuid.NewString(), State: GarbageWaiting, Garbage: newGarbage(s.now(), dry)}
		return putRound(tx, round, s.now())
	})
	if err != nil {
		return nil, err
	}
	wake(s.wakeGarbage)
	return round, nil
}

// GarbageRound is the round that goes on, or the last one.
func (s *Service) GarbageRound(ctx context.Context, p Principal) (*GarbageRound, error) {
	if err := allowsOperation(p); err != nil {
		return nil, err
	}
	var round *GarbageRound
	err := s.store.View(ctx, func(tx Tx) (err error) {
		round, err = roundOf(tx)
		return err
	})
	return round, err
}

func roundOf(tx Tx) (*GarbageRound, error) {
	_, body, err := tx.Report(reportRound)
	if CodeOf(err) == CodeNotFound {
		return nil, Errorf(CodeNotFound, "Nobody has looked for garbage yet.")
	}
	if err != nil {
		return nil, err
	}
	round := &GarbageRound{}
	return round, json.Unmarshal([]byte(body), round)
}

func putRound(tx Tx, round *GarbageRound, now time.Time) error {
	body, err := json.Marshal(round)
	if err != nil {
		return err
	}
	return tx.PutReport(reportRound, now, string(body))
}

func (s *Service) runGarbage(ctx context.Context) {
	s.loop(ctx, "garbage", s.wakeGarbage, lookEvery, garbageTime, s.under(garbageLease, s.garbageOnce))
}

// garbageOnce carries a round on that somebody asked for.
func (s *Service) garbageOnce(ctx context.Context) (more bool, err error) {
	var round *GarbageRound
	err = s.store.View(ctx, func(tx Tx) (err error) {
		round, err = roundOf(tx)
		return err
	})
	if CodeOf(err) == CodeNotFound || err == nil && round.State == GarbageDone {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = s.garbage(ctx, round)
	if errors.Is(err, errRoundOver) {
		return false, nil
	}
	if err != nil && ctx.Err() == nil {
		round.Problem = err.Error()
		err = errors.Join(err, s.noteRound(ctx, round))
	}
	return false, err
}

// garbage looks at every project behind the last one that the round has looked
// at.
func (s *Service) garbage(ctx context.Context, round *GarbageRound) error {
	g := round.Garbage
	if !g.DryRun {
		if err := errors.Join(s.adoptBucket(ctx), s.prunePrevious(ctx)); err != nil {
			return err
		}
		if err := s.expire(ctx, g, garbageRounds); err != nil {
			return err
		}
	}
	var ids []string
	err := s.store.View(ctx, func(tx Tx) (err error) {
		ids, err = tx.AllProjects()
		return err
	})
	if err != nil {
		return err
	}
	round.State, round.Problem, round.Projects = GarbageRunning, "", len(ids)
	if err := s.noteRound(ctx, round); err != nil {
		return err
	}
	noted := s.now()
	first := slices.Index(ids, round.After) + 1 // from the beginning where that one is gone
	for i, id := range ids[first:] {
		if err := s.freeProject(ctx, g, id); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			g.Failures = append(g.Failures, fmt.Sprintf("project %s: %v", id, err))
		}
		round.After, round.Looked = id, first+i+1
		if now := s.now(); now.Sub(noted) >= noteEvery {
			if err := s.noteRound(ctx, round); err != nil {
				return err
			}
			noted = now
		}
	}
	g.Unknown = []UnknownProject{}
	if err := s.freeUnknown(ctx, g); err != nil {
		return err
	}
	if err := s.endGarbage(ctx, g); err != nil {
		return err
	}
	round.State = GarbageDone
	return s.noteRound(ctx, round)
}

// errRoundOver says that another control plane has ended a round.
var errRoundOver = errors.New("the round is over")

// noteRound keeps how far a round is.
func (s *Service) noteRound(ctx context.Context, round *GarbageRound) error {
	err := s.store.Update(ctx, func(tx Tx) error {
		now, err := roundOf(tx)
		if err != nil {
			return err
		}
		if now.ID != round.ID || now.State == GarbageDone {
			return errRoundOver
		}
		return putRound(tx, round, s.now())
	})
	if err != nil && !errors.Is(err, errRoundOver) {
		return fmt.Errorf("keep how far the look for garbage is: %w", err)
	}
	return err
}
