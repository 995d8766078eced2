package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// measured names what a sample is of.
type measured struct{ server, file string }

// printCommands shows how to repeat it by hand.
func (b *bench) printCommands(w io.Writer, servers []server) {
	fmt.Fprintf(w, "Each server alone on core %d while it is measured, the client on core %d; %d rounds of %s in turn; medians.\n\n", b.serverCore, b.clientCore, b.rounds, b.duration)
	for _, s := range servers {
		fmt.Fprintf(w, "%s:\n  taskset -c %d env %s\n", s.name, b.serverCore, s)
		for _, f := range b.files {
			fmt.Fprintf(w, "  %s\n", quoted(b.wrkCommand(s, f)))
		}
	}
	fmt.Fprintln(w)
}

func quoted(command []string) string {
	line := ""
	for i, arg := range command {
		if i > 0 {
			line += " "
		}
		if slices.Contains([]byte(arg), ' ') {
			arg = "'" + arg + "'"
		}
		line += arg
	}
	return line
}

// printTable shows, for each file, the median of each server, and what the first
// server's is as a multiple of it: the median of the rounds' ratios, so that
// what else the machine did in one round weighs on both.
func printTable(w io.Writer, servers []server, files []file, results map[measured][]sample) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "file\tserver\trequests/s\tlowest\thighest\tp99\t%s is\t\n", servers[0].name)
	for _, f := range files {
		first := rates(results[measured{servers[0].name, f.name}])
		for _, s := range servers {
			samples := results[measured{s.name, f.name}]
			r := rates(samples)
			ratio := ""
			if s.name != servers[0].name {
				ratio = fmt.Sprintf("%.2f×", median(ratios(first, r)))
			}
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.0f\t%s\t%s\t\n", f.name, s.name, median(r), slices.Min(r), slices.Max(r), latency(samples), ratio)
		}
	}
	_ = t.Flush() // to a terminal
}

func rates(samples []sample) (r []float64) {
	for _, s := range samples {
		r = append(r, s.perSecond)
	}
	return r
}

// ratios divides round by round.
func ratios(a, b []float64) (r []float64) {
	for i := range min(len(a), len(b)) {
		r = append(r, a[i]/b[i])
	}
	return r
}

func latency(samples []sample) time.Duration {
	var l []float64
	for _, s := range samples {
		l = append(l, float64(s.p99))
	}
	return time.Duration(median(l)).Round(10 * time.Microsecond)
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
