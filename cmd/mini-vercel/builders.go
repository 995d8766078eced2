package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/builder/sandbox"
	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/controlplane/runner"
)

// builders are where builds run, and what the control plane has to know of it.
type builders struct {
	runner     controlplane.Runner
	url        string // of the control plane, as builders reach it
	count      int    // at once
	claimTime  time.Duration
	detectTime time.Duration
	collectors []prometheus.Collector
	close      func()
}

// openBuilders opens the runner that the settings choose.
func (p *controlPlane) openBuilders(ctx context.Context, masterKey []byte) (*builders, error) {
	s := p.settings
	if s.ECSCluster != "" {
		address, err := s.builderURL()
		if err != nil {
			return nil, err
		}
		if address.Scheme == "http" {
			p.log.Warn("builders speak to the control plane without TLS: whoever is between reads their tokens", "url", address.String())
		}
		e, err := s.openECS(ctx, masterKey, p.log)
		if err != nil {
			return nil, err
		}
		return &builders{
			runner: e, url: address.String(), count: s.buildsAtOnce(),
			claimTime: ecsClaimTime, detectTime: ecsDetectTime, collectors: e.Collectors(), close: e.Close,
		}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	local, err := runner.New(runner.Options{
		Command: []string{self, "build"},
		Dir:     p.dir.join("builds"),
		Env:     builderEnvironment(s, p.dir),
		Log:     p.log,
	})
	if err != nil {
		return nil, err
	}
	return &builders{runner: local, url: p.reachedAt("127.0.0.1"), count: s.buildsAtOnce(), close: func() {}}, nil
}

// buildsAtOnce is of this machine, or of all control planes together where tasks
// build.
func (s *Settings) buildsAtOnce() int {
	if s.ECSCluster != "" {
		return min(s.BuildCount, s.ECSCount)
	}
	return s.BuildCount
}

// probe finds out how builds can be isolated where they run.
func probe(ctx context.Context, s *Settings) sandbox.Isolation {
	if s.ECSCluster != "" && s.taskSandbox() == "task" {
		return sandbox.Isolation{Mode: sandbox.ModeTask} // each task finds out, and builds nothing without
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return sandbox.Probe(ctx, sandbox.Config{Mode: s.BuildSandbox})
}

// describe says it to people.
func describe(s *Settings, i sandbox.Isolation) api.Isolation {
	where, network := "the control plane's machine", "shared with this machine"
	if s.ECSCluster != "" {
		where = "tasks of Amazon ECS"
	}
	switch {
	case i.Network:
		network = "its own: the internet, but neither this machine nor private addresses"
	case i.Mode == sandbox.ModeTask:
		network = "its task's: what the task's security groups let through"
	}
	return api.Isolation{Where: where, Mode: string(i.Mode), Network: network, Warnings: i.Warnings}
}
