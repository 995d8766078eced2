package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Detect has a builder look at a repository and say what would be built.
func (s *Service) Detect(ctx context.Context, p Principal, in DetectInput) (*site.Detection, error) {
	if err := p.Allows(ScopeDeploy); err != nil {
		return nil, err
	}
	if err := or(CheckGitURL(in.GitURL, s.mayCloneLocal(p)), checkBranch("branch", in.Branch), checkDirectory("rootDirectory", in.RootDirectory)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.DetectTime)
	defer cancel()
	now := s.now()
	row := &DetectionRow{ID: uuid.NewString(), UserID: p.UserID, Input: in, CreatedAt: now, Deadline: now.Add(s.config.DetectTime)}
	a := Attempt{Deployment: row.ID, Number: 1, Detection: true}
	claim, err := s.queueDetection(ctx, row, a)
	if err != nil {
		return nil, err
	}
	watch := s.lines.follow(row.ID)
	defer s.lines.leave(watch)
	handle, err := s.startDetection(ctx, a, claim)
	if err != nil {
		return nil, err
	}
	defer s.endBuilder(handle)
	return s.awaitDetection(ctx, row.ID, watch)
}

func (s *Service) startDetection(ctx context.Context, a Attempt, claim string) (handle string, err error) {
	// The drain ends every builder that was started before it.
	s.dispatch.RLock()
	defer s.dispatch.RUnlock()
	if s.drained {
		return "", errStopping
	}
	if handle, err = s.runner.Start(ctx, Builder{Attempt: a.ID(), URL: s.config.PublicURL, Claim: claim}); err != nil {
		s.failDetection(ctx, a.Deployment, "The builder could not be started.")
		return "", fmt.Errorf("start detection %s: %w", a.Deployment, err)
	}
	if exit, ended := s.builders.add(handle, a); ended {
		s.builderEnded(ctx, a, exit)
	}
	return handle, nil
}

// queueDetection keeps the row as soon as fewer than the limit run.
func (s *Service) queueDetection(ctx context.Context, row *DetectionRow, a Attempt) (claim string, err error) {
	for {
		full := false
		err := s.store.Update(ctx, func(tx Tx) error {
			n, err := tx.RunningDetections(s.now())
			if full = n >= s.config.MaxDetections; err != nil || full {
				return err
			}
			if err := tx.InsertDetection(row); err != nil {
				return err
			}
			claim, err = s.newClaim(tx, a)
			return err
		})
		if err == nil && !full {
			return claim, nil
		}
		if err == nil {
			err = pause(ctx, 200*time.Millisecond)
		}
		if ctx.Err() != nil {
			return "", Errorf(CodeUnavailable, "Too many repositories are being looked at: try again in a moment.")
		}
		if err != nil {
			return "", err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitDetection waits until the row says what was found.
func (s *Service) awaitDetection(ctx context.Context, id string, watch *lineWatcher) (*site.Detection, error) {
	ticker := time.NewTicker(time.Second) // where word of another control plane is missed
	defer ticker.Stop()
	for {
		var row *DetectionRow
		err := s.store.View(ctx, func(tx Tx) (err error) {
			row, err = tx.Detection(id)
			return err
		})
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		if err == nil && row.Ended {
			if row.Result == "" {
				return nil, Invalid("gitURL", "%s", row.Reason)
			}
			found := &site.Detection{}
			return found, json.Unmarshal([]byte(row.Result), found)
		}
		select {
		case <-watch.bell:
		case <-ticker.C:
		case <-s.stopped:
			return nil, errStopping
		case <-ctx.Done():
			s.failDetection(ctx, id, "")
			return nil, Invalid("gitURL", "The repository did not answer within %s.", s.config.DetectTime)
		}
	}
}

// handleDetection takes in what a detection's builder reports.
func (s *Service) handleDetection(ctx context.Context, a Attempt, events []site.Event) (canceled bool, err error) {
	for i := range events {
		e := &events[i]
		switch e.Type {
		case site.EventDetected:
			if e.Detected == nil {
				return false, Invalid("detected", "The event says nothing.")
			}
			text, err := encodeDetection(e.Detected)
			if err != nil {
				return false, err
			}
			if len(text) > 1<<20 {
				return false, Errorf(CodeTooLarge, "The detection has %d bytes.", len(text))
			}
			return s.endDetection(ctx, a.Deployment, text, "")
		case site.EventFailed:
			return s.endDetection(ctx, a.Deployment, "", cutText(e.Reason, maxReason))
		}
	}
	return false, nil
}

// endDetection keeps the result or the reason; over: it had ended before.
func (s *Service) endDetection(ctx context.Context, id, result, reason string) (over bool, err error) {
	err = s.update(ctx, func(tx Tx, n *notes) error {
		row, err := tx.Detection(id)
		if err != nil {
			return err
		}
		row.Ended, row.Result, row.Reason = true, result, reason
		saved, err := tx.SaveDetection(row)
		over = !saved
		n.detections = append(n.detections, id)
		return err
	})
	return over, err
}

func (s *Service) failDetection(ctx context.Context, id, reason string) {
	if _, err := s.endDetection(context.WithoutCancel(ctx), id, "", reason); err != nil && CodeOf(err) != CodeNotFound {
		s.log.Error("can't end a detection", "detection", id, "error", err)
	}
}
