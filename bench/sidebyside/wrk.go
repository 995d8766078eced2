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

// wrkScene is HTTP/1.1 at full load.
func (b *bench) wrkScene(name string, f file) scene {
	command := func(s server) []string {
		return b.onClientCore("wrk", "-t1", "-c"+strconv.Itoa(b.connections), "-d"+b.seconds(), "--latency", "-H", "Host: "+siteHost, "http://"+s.http+s.path(f))
	}
	return scene{
		name: name, charted: f.name == chartedFile, servers: b.speaking("h1"),
		load:    func(ctx context.Context, s server) (sample, error) { return wrk(ctx, command(s), false) },
		command: func(s server) string { return quoted(command(s)) },
	}
}

func (b *bench) onClientCore(command ...string) []string {
	return append([]string{"taskset", "-c", strconv.Itoa(b.clientCore)}, command...)
}

func (b *bench) seconds() string { return strconv.Itoa(int(b.duration.Seconds())) + "s" }

func wrk(ctx context.Context, command []string, refused bool) (sample, error) {
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(string(out), refused)
}

var (
	wrkRate = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)`)
	wrkP50  = regexp.MustCompile(`(?m)^\s+50%\s+([0-9.]+(?:us|ms|s|m))\s*$`)
	wrkP99  = regexp.MustCompile(`(?m)^\s+99%\s+([0-9.]+(?:us|ms|s|m))\s*$`)
)

// parseWrk reads what wrk writes. A run in which something failed says nothing
// about speed, nor does one with answers that are no success, unless they are
// what is asked for.
func parseWrk(out string, refused bool) (sample, error) {
	bad := []string{"Socket errors", "Non-2xx"}
	if refused {
		bad = bad[:1]
	}
	for _, bad := range bad {
		if i := strings.Index(out, bad); i >= 0 {
			line, _, _ := strings.Cut(out[i:], "\n")
			return sample{}, fmt.Errorf("wrk saw %s", line)
		}
	}
	rate, p50, p99 := wrkRate.FindStringSubmatch(out), wrkP50.FindStringSubmatch(out), wrkP99.FindStringSubmatch(out)
	if rate == nil || p50 == nil || p99 == nil {
		return sample{}, fmt.Errorf("wrk wrote %q", out)
	}
	perSecond, err := strconv.ParseFloat(rate[1], 64)
	if err != nil {
		return sample{}, err
	}
	middle, err := time.ParseDuration(p50[1])
	if err != nil {
		return sample{}, err
	}
	last, err := time.ParseDuration(p99[1])
	return sample{perSecond, middle, last}, err
}
