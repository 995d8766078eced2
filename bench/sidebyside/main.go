// Sidebyside compares this edge with Caddy's file_server and nginx: the same
// files, in one run, one core for the server and another for the client, in
// rounds that alternate. It prints requests a second as they were measured, and
// ratios, which are what carries over to other machines. It asserts nothing.
//
//	make build && go run ./bench/sidebyside
//
// It wants wrk and taskset, and two cores. Where nginx is missing it is left
// out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"
)

type options struct {
	rounds      int
	duration    time.Duration
	connections int
	serverCore  int
	clientCore  int
	verbose     bool
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each server is measured with each file; the median counts")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how long one measurement takes")
	flag.IntVar(&o.connections, "connections", 32, "connections of the client")
	flag.IntVar(&o.serverCore, "server-core", 0, "core that the servers run on")
	flag.IntVar(&o.clientCore, "client-core", 1, "core that the client runs on")
	flag.BoolVar(&o.verbose, "v", false, "show what the servers write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("it takes two cores, one for the server and one for the client; this machine has %d", runtime.NumCPU())
	}
	if o.rounds < 1 || o.connections < 1 || o.duration < time.Second {
		return fmt.Errorf("at least one round, one connection and one second")
	}
	for _, tool := range []string{"wrk", "taskset"} {
		if err := need(tool); err != nil {
			return err
		}
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	servers, err := b.start(ctx)
	if err != nil {
		return err
	}
	if err := b.compare(ctx, servers); err != nil {
		return err
	}
	results := make(map[measured][]sample)
	for round := range o.rounds {
		for _, f := range b.files {
			for _, s := range servers {
				got, err := b.measure(ctx, s, f)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, f.name, err)
				}
				results[measured{s.name, f.name}] = append(results[measured{s.name, f.name}], got)
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %s: %.0f requests/s\n", round+1, o.rounds, f.name, s.name, got.perSecond)
			}
		}
	}
	b.printCommands(os.Stdout, servers)
	printTable(os.Stdout, servers, b.files, results)
	return nil
}
