package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// h2loadScene is HTTP/2 over TLS at full load.
func (b *bench) h2loadScene(name string, f file) scene {
	command := func(s server) []string {
		return b.onClientCore("h2load", "-t1", "-c"+strconv.Itoa(b.connections), "-m"+strconv.Itoa(b.streams), "-D"+strconv.Itoa(int(b.duration.Seconds())),
			"--connect-to="+s.https, "--log-file="+b.requestLog(), "https://"+siteHost+s.path(f))
	}
	return scene{
		name: name, charted: f.name == chartedFile, servers: b.speaking("h2"),
		load:    func(ctx context.Context, s server) (sample, error) { return b.h2load(ctx, command(s)) },
		command: func(s server) string { return quoted(command(s)) },
	}
}

// halfLoadScene asks every server for half of what Caddy's file_server alone can
// take: how long does a request take when there is room?
func (b *bench) halfLoadScene(name string, f file) scene {
	perConnection := 0.0
	command := func(s server) []string {
		return b.onClientCore("h2load", "--h1", "-t1", "-c"+strconv.Itoa(b.connections), "-D"+strconv.Itoa(int(b.duration.Seconds())),
			"--rps="+strconv.FormatFloat(perConnection, 'f', 1, 64), "--connect-to="+s.http, "--log-file="+b.requestLog(), "http://"+siteHost+s.path(f))
	}
	full := b.wrkScene("", f)
	return scene{
		name: name, servers: b.speaking("h1"),
		load: func(ctx context.Context, s server) (sample, error) {
			if perConnection == 0 {
				for _, peer := range b.servers {
					if peer.name == bareName {
						most, err := full.load(ctx, peer)
						if err != nil {
							return sample{}, err
						}
						perConnection = most.PerSecond / 2 / float64(b.connections)
					}
				}
			}
			return b.h2load(ctx, command(s))
		},
		command: func(s server) string { return quoted(command(s)) },
	}
}

func (b *bench) requestLog() string { return filepath.Join(b.dir, "requests.tsv") }

func (b *bench) h2load(ctx context.Context, command []string) (sample, error) {
	// It appends.
	if err := os.Remove(b.requestLog()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return sample{}, err
	}
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("h2load: %w: %s", err, out)
	}
	perSecond, err := parseH2load(string(out))
	if err != nil {
		return sample{}, err
	}
	log, err := os.Open(b.requestLog())
	if err != nil {
		return sample{}, err
	}
	defer log.Close()
	times, err := parseRequestLog(log)
	if err != nil {
		return sample{}, err
	}
	return sample{perSecond, percentile(times, 50), percentile(times, 99)}, nil
}

var (
	h2loadRate   = regexp.MustCompile(`(?m)^finished in [^,]+, ([0-9.]+) req/s`)
	h2loadFailed = regexp.MustCompile(`(?m)^requests:.* ([0-9]+) failed, ([0-9]+) errored`)
	h2loadStatus = regexp.MustCompile(`(?m)^status codes: [0-9]+ 2xx, ([0-9]+) 3xx, ([0-9]+) 4xx, ([0-9]+) 5xx`)
)

// parseH2load reads the rate. What is still under way at the end counts as
// failed there, and is let be; an answer that is no success is not.
func parseH2load(out string) (float64, error) {
	rate, status := h2loadRate.FindStringSubmatch(out), h2loadStatus.FindStringSubmatch(out)
	if rate == nil || status == nil || h2loadFailed.FindString(out) == "" {
		return 0, fmt.Errorf("h2load wrote %q", out)
	}
	for _, count := range status[1:] {
		if count != "0" {
			return 0, fmt.Errorf("h2load saw %s", status[0])
		}
	}
	return strconv.ParseFloat(rate[1], 64)
}

// parseRequestLog reads h2load's log: start, status, microseconds.
func parseRequestLog(r io.Reader) ([]time.Duration, error) {
	var times []time.Duration
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("h2load logged %q", lines.Text())
		}
		microseconds, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("h2load logged %q: %w", lines.Text(), err)
		}
		times = append(times, time.Duration(microseconds)*time.Microsecond)
	}
	if len(times) == 0 {
		return nil, errors.Join(errors.New("h2load logged no request"), lines.Err())
	}
	return times, lines.Err()
}

// percentile sorts the times.
func percentile(times []time.Duration, percent int) time.Duration {
	slices.Sort(times)
	return times[(len(times)-1)*percent/100]
}
