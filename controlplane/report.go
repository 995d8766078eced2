package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// The reports that are kept, each the last of its kind, for all control planes.
const (
	reportBackup  = "backup"
	reportGarbage = "garbage"
	reportRound   = "garbage-round"
)

// keepReport keeps the last report of a kind.
func (s *Service) keepReport(ctx context.Context, name string, at time.Time, report any) error {
	body, err := json.Marshal(report)
	if err != nil {
		return err
	}
	err = s.store.Update(ctx, func(tx Tx) error { return tx.PutReport(name, at, string(body)) })
	if err != nil {
		return fmt.Errorf("keep the report %s: %w", name, err)
	}
	return nil
}
