package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// sample is one run of wrk.
type sample struct {
	perSecond float64
	p99       time.Duration
}

// wrkCommand is how a server is measured with a file.
func (b *bench) wrkCommand(s server, f file) []string {
	return []string{
		"taskset", "-c", strconv.Itoa(b.clientCore), "wrk", "-t1", "-c" + strconv.Itoa(b.connections), "-d" + strconv.Itoa(int(b.duration.Seconds())) + "s",
		"--latency", "-H", "Host: " + s.host, "http://" + s.address + s.path(f),
	}
}

func (b *bench) measure(ctx context.Context, s server, f file) (sample, error) {
	command := b.wrkCommand(s, f)
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(string(out))
}

var (
	wrkRate = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)`)
	wrkP99  = regexp.MustCompile(`(?m)^\s+99%\s+([0-9.]+(?:us|ms|s|m))\s*$`)
)

// parseWrk reads what wrk writes. A run with an answer that is no success says
// nothing about speed.
func parseWrk(out string) (sample, error) {
	for _, bad := range []string{"Non-2xx", "Socket errors"} {
		if i := strings.Index(out, bad); i >= 0 {
			line, _, _ := strings.Cut(out[i:], "\n")
			return sample{}, fmt.Errorf("wrk saw %s", line)
		}
	}
	rate, p99 := wrkRate.FindStringSubmatch(out), wrkP99.FindStringSubmatch(out)
	if rate == nil || p99 == nil {
		return sample{}, fmt.Errorf("wrk wrote %q", out)
	}
	perSecond, err := strconv.ParseFloat(rate[1], 64)
	if err != nil {
		return sample{}, err
	}
	latency, err := time.ParseDuration(p99[1])
	return sample{perSecond, latency}, err
}
