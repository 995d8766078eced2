package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
)

// preparedRequests is how many requests a script has ready, to be sent over and
// over: making them costs the client nothing while it measures.
const preparedRequests = 200_000

// hostsScene asks for one page at many hosts, each as often as Zipf's law has
// it (s = 1.1): a few hosts get most of the requests, and every host some. The
// trivial handler looks at no host and is what the edge's look-ups are measured
// by.
func (b *bench) hostsScene(name string, f file, hosts int) scene {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 1, uint64(hosts-1))
	return b.scripted(name, []server{b.wide, b.servers[1]}, func(s server) string { return s.path(f) }, false, func(int) string { return hostOf(int(zipf.Uint64())) })
}

// diskScene asks for the pages of all projects in turn, ten times as much as the
// edge there has memory for. file_server has one page, which the system caches.
func (b *bench) diskScene(name string, f file) scene {
	servers := []server{b.disk}
	for _, s := range b.servers {
		if s.name == fileName {
			servers = append(servers, s)
		}
	}
	return b.scripted(name, servers, func(s server) string { return s.path(f) }, false, func(i int) string { return hostOf(i * perProject % manyHosts) })
}

// unknownScene asks for one host that has no site.
func (b *bench) unknownScene(name string) scene {
	return b.scripted(name, b.servers[:2], func(server) string { return nobodyPath }, true, func(int) string { return nobodyHost })
}

// floodScene asks for a host that has no site and was never asked for before,
// again and again: what somebody does who means ill.
func (b *bench) floodScene(name string) scene {
	return b.scripted(name, b.servers[:2], func(server) string { return nobodyPath }, true, func(i int) string { return "nobody-" + strconv.Itoa(i) + "." + baseDomain })
}

// scripted sends prepared requests to an edge and the trivial handler.
func (b *bench) scripted(name string, servers []server, path func(server) string, refused bool, hostAt func(int) string) scene {
	script := filepath.Join(b.dir, strings.NewReplacer(" ", "-", ",", "").Replace(name)+".lua")
	command := func(s server) []string {
		return b.onClientCore("wrk", "-t1", "-c"+strconv.Itoa(b.connections), "-d"+b.seconds(), "--latency", "-s", script, "http://"+s.http+path(s))
	}
	warm := map[string]bool{}
	return scene{
		name: name, servers: servers,
		load: func(ctx context.Context, s server) (sample, error) {
			if !warm[s.name] { // the first time is for the caches
				warm[s.name] = true
				if err := write(script, wrkScript(hostAt)); err != nil {
					return sample{}, err
				}
				if _, err := wrk(ctx, command(s), refused); err != nil {
					return sample{}, err
				}
			}
			return wrk(ctx, command(s), refused)
		},
		command: func(s server) string { return quoted(command(s)) },
	}
}

// wrkScript makes wrk send requests that were prepared before it starts.
func wrkScript(hostAt func(int) string) []byte {
	var script strings.Builder
	script.WriteString(`local requests = {}
function init(args)
  for host in string.gmatch(hosts, "%S+") do requests[#requests + 1] = wrk.format("GET", nil, {Host = host}) end
end
local i = 0
function request()
  i = i % #requests + 1
  return requests[i]
end
hosts = [[
`)
	for i := range preparedRequests {
		fmt.Fprintln(&script, hostAt(i))
	}
	script.WriteString("]]\n")
	return []byte(script.String())
}
