package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// scene is one row of questions: a load, put to several servers in turn.
type scene struct {
	name    string
	charted bool
	servers []server
	load    func(context.Context, server) (sample, error)
	command func(server) string
}

// sample is one measurement.
type sample struct {
	PerSecond float64       `json:"perSecond"` // requests
	P50       time.Duration `json:"p50"`       // of a request, in nanoseconds
	P99       time.Duration `json:"p99"`
}

// result is what a scene gave: a sample a round for each server, in its order.
type result struct {
	Scene   string         `json:"scene"`
	Charted bool           `json:"charted"`
	Servers []serverResult `json:"servers"`
}

type serverResult struct {
	Server  string   `json:"server"`
	Samples []sample `json:"samples"`
}

// scenes are all that is measured, in the order of the table.
func (b *bench) scenes() []scene {
	var all []scene
	for _, f := range b.files {
		all = append(all, b.wrkScene("h1, "+f.name, f))
	}
	for _, f := range b.files {
		all = append(all, b.h2loadScene("h2, "+f.name, f))
	}
	page := b.file("10 KiB")
	return append(all,
		b.http3Scene("h3, "+page.name, page),
		b.halfLoadScene("h1 at half load, "+page.name, page),
		b.hostsScene("h1, 1 host, "+page.name, page, 1),
		b.hostsScene("h1, 100,000 hosts, "+page.name, page, manyHosts),
		b.diskScene("h1, from disk, "+page.name, page),
		b.coldScene("h1, cold, "+page.name, page),
		b.unknownScene("h1, unknown host"),
		b.floodScene("h1, flood of unknown hosts"),
	)
}

// speaking returns the servers that speak a protocol.
func (b *bench) speaking(protocol string) (some []server) {
	for _, s := range b.servers {
		if strings.Contains(s.protocols, protocol) {
			some = append(some, s)
		}
	}
	return some
}

// play measures a scene: every server in every round, so that what else the
// machine does in one round weighs on all.
func (b *bench) play(ctx context.Context, s scene) (result, error) {
	r := result{Scene: s.name, Charted: s.charted}
	for _, server := range s.servers {
		r.Servers = append(r.Servers, serverResult{Server: server.name})
	}
	for round := range b.rounds {
		for i, server := range s.servers {
			got, err := s.load(ctx, server)
			if err != nil {
				return r, fmt.Errorf("%s: %w", server.name, err)
			}
			r.Servers[i].Samples = append(r.Servers[i].Samples, got)
			fmt.Fprintf(os.Stderr, "%s, round %d of %d: %s: %.0f requests/s\n", s.name, round+1, b.rounds, server.name, got.PerSecond)
		}
	}
	return r, nil
}
