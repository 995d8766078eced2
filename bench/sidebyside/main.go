// Sidebyside compares this edge with its peers: the same files, in one run, one
// core for the server and another for the client, in rounds that alternate. It
// prints requests a second as they were measured, and ratios, which are what
// carries over to other machines. It asserts nothing.
//
//	go run ./bench/sidebyside
//
// The peers are Caddy's file_server, a handler in the same Caddy that has
// nothing to do (the ceiling of what any Caddy module could reach), net/http
// alone, and nginx. All but nginx are this program, started again: the same
// Caddy, the same compiler.
//
// It wants two cores and taskset, wrk and h2load. nginx is left out where it is
// missing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"
)

type options struct {
	rounds      int
	duration    time.Duration
	connections int
	streams     int
	serverCore  int
	clientCore  int
	only        string
	json, svg   string
	profile     string
	verbose     bool
}

func main() {
	// This program is also the servers that it compares, and a client.
	if len(os.Args) == 3 {
		if role := roles[os.Args[1]]; role != nil {
			exit(role(os.Args[2]))
		}
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each server is measured in each scene; the median counts")
	flag.DurationVar(&o.duration, "duration", 2*time.Second, "how long one measurement takes, in whole seconds")
	flag.IntVar(&o.connections, "connections", 32, "connections of the client")
	flag.IntVar(&o.streams, "streams", 10, "streams of each HTTP/2 connection")
	flag.IntVar(&o.serverCore, "server-core", 0, "core that the servers run on")
	flag.IntVar(&o.clientCore, "client-core", 1, "core that the client runs on")
	flag.StringVar(&o.only, "only", "", "measure the scenes whose names contain this: \"h1\", \"10 KiB\", \"cold\"")
	flag.StringVar(&o.json, "json", "", "write all samples to this file")
	flag.StringVar(&o.svg, "svg", "", "draw a chart of a page at full load into this file")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of this edge to this file")
	flag.BoolVar(&o.verbose, "v", false, "show what the servers write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// roles are what this program does when it starts itself.
var roles = map[string]func(config string) error{
	"serve-caddy":   serveCaddy,
	"serve-nethttp": serveNetHTTP,
	"load-h3":       loadHTTP3,
}

func run(ctx context.Context, o options) error {
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("it takes two cores, one for the server and one for the client; this machine has %d", runtime.NumCPU())
	}
	if o.rounds < 1 || o.connections < 1 || o.streams < 1 || o.duration < time.Second {
		return fmt.Errorf("at least one round, one connection, one stream and one second")
	}
	for _, tool := range []string{"taskset", "wrk", "h2load"} {
		if err := need(tool); err != nil {
			return err
		}
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.start(ctx); err != nil {
		return err
	}
	var results []result
	for _, s := range b.scenes() {
		if !strings.Contains(s.name, o.only) {
			continue
		}
		r, err := b.play(ctx, s)
		if errors.Is(err, errNoS3) {
			fmt.Fprintf(os.Stderr, "sidebyside: %s is left out: %v\n", s.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		results = append(results, r)
	}
	b.printCommands(os.Stdout)
	printTable(os.Stdout, results)
	return b.write(results)
}

// write keeps the results where the options say.
func (b *bench) write(results []result) error {
	if b.json != "" {
		if err := writeJSON(b.json, b.options, results); err != nil {
			return err
		}
	}
	if b.svg != "" {
		return os.WriteFile(b.svg, []byte(chart(results)), 0o644)
	}
	return nil
}
