package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
)

// hostsScene asks for one page at many hosts, each as often as Zipf's law has
// it (s = 1.1): a few hosts get most of the requests, and every host some. The
// trivial handler looks at no host and is what the edge's look-ups are measured
// by.
func (b *bench) hostsScene(name string, f file, hosts int) scene {
	script := filepath.Join(b.dir, "hosts-"+strconv.Itoa(hosts)+".lua")
	command := func(s server) []string {
		return b.onClientCore("wrk", "-t1", "-c"+strconv.Itoa(b.connections), "-d"+b.seconds(), "--latency", "-s", script, "http://"+s.http+s.path(f))
	}
	warm := map[string]bool{}
	return scene{
		name: name, servers: b.servers[:2],
		load: func(ctx context.Context, s server) (sample, error) {
			if !warm[s.name] { // the first time is for the caches
				warm[s.name] = true
				if err := write(script, hostsScript(hosts)); err != nil {
					return sample{}, err
				}
				if _, err := wrk(ctx, command(s)); err != nil {
					return sample{}, err
				}
			}
			return wrk(ctx, command(s))
		},
		command: func(s server) string { return quoted(command(s)) },
	}
}

// hostsScript makes wrk send requests that were prepared before it starts.
func hostsScript(hosts int) []byte {
	const requests = 200_000
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 1, uint64(hosts-1))
	var script strings.Builder
	script.WriteString("local requests = {}\nfunction init(args)\n")
	script.WriteString("  for h in string.gmatch(samples, \"%d+\") do requests[#requests + 1] = wrk.format(\"GET\", nil, {Host = \"h\" .. h .. \"." + baseDomain + "\"}) end\nend\n")
	script.WriteString("local i = 0\nfunction request()\n  i = i % #requests + 1\n  return requests[i]\nend\nsamples = [[")
	for range requests {
		fmt.Fprintf(&script, "%d\n", zipf.Uint64())
	}
	script.WriteString("]]\n")
	return []byte(script.String())
}
