package main

import (
	"context"
	"log/slog"
	"strings"
)

// tasksPart is the cluster in which builders run as tasks. Nothing is started.
func (s *Settings) tasksPart() part {
	return part{"builds", "ECS cluster " + s.ECSCluster, func(ctx context.Context) (string, error) {
		e, err := s.newECS(ctx, make([]byte, 32), slog.New(slog.DiscardHandler))
		if err != nil {
			return "", err
		}
		defer e.Close()
		warnings, err := e.Check(ctx)
		if err != nil {
			return "", err
		}
		return strings.Join(append([]string{"task definition " + s.ECSTaskDefinition}, warnings...), "; "), nil
	}}
}
