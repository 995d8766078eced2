package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// printCommands shows how to repeat it by hand.
func (b *bench) printCommands(w io.Writer) {
	fmt.Fprintf(w, "Each server alone on core %d while it is measured, the client on core %d; %d rounds of %s in turn; medians.\n\n",
		b.serverCore, b.clientCore, b.rounds, b.duration)
	for _, s := range b.servers {
		fmt.Fprintf(w, "%s: %s\n", s.name, s.command)
	}
	for _, s := range b.scenes() {
		fmt.Fprintf(w, "%s: %s\n", s.name, s.command(s.servers[0]))
	}
	fmt.Fprintln(w)
}

func quoted(command []string) string {
	line := make([]string, len(command))
	for i, arg := range command {
		if strings.Contains(arg, " ") {
			arg = "'" + arg + "'"
		}
		line[i] = arg
	}
	return strings.Join(line, " ")
}

// printTable shows, for each scene, the median of each server, and what the
// first server's is as a multiple of it: the median of the rounds' ratios, so
// that what else the machine did in one round weighs on both.
func printTable(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "scene\tserver\trequests/s\tlowest\thighest\tp50\tp99\t%s is\t\n", edgeName)
	for _, r := range results {
		for i, s := range r.Servers {
			ratio := ""
			if i > 0 {
				ratio = fmt.Sprintf("%.2f×", r.ratio(i))
			}
			each := s.rates()
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.0f\t%s\t%s\t%s\t\n", r.Scene, s.Server, median(each), slices.Min(each), slices.Max(each),
				s.latency(func(s sample) time.Duration { return s.P50 }), s.latency(func(s sample) time.Duration { return s.P99 }), ratio)
		}
	}
	_ = t.Flush() // to a terminal
}

// ratio is the first server's rate as a multiple of the i-th's.
func (r *result) ratio(i int) float64 {
	var each []float64
	for round, s := range r.Servers[i].Samples {
		each = append(each, r.Servers[0].Samples[round].PerSecond/s.PerSecond)
	}
	return median(each)
}

func (s *serverResult) rates() (all []float64) {
	for _, one := range s.Samples {
		all = append(all, one.PerSecond)
	}
	return all
}

func (s *serverResult) latency(of func(sample) time.Duration) time.Duration {
	var all []float64
	for _, one := range s.Samples {
		all = append(all, float64(of(one)))
	}
	return time.Duration(median(all)).Round(10 * time.Microsecond)
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// writeJSON keeps every sample, with what it was measured by.
func writeJSON(path string, o options, results []result) error {
	encoded, err := json.MarshalIndent(map[string]any{
		"go": runtime.Version(), "rounds": o.rounds, "seconds": o.duration.Seconds(), "connections": o.connections, "streams": o.streams, "results": results,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(encoded, '\n'), 0o644)
}
