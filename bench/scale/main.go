// Scale simulates what an edge costs as the number of hosts grows: 10,000 of
// them are visited, by Zipf's law, while the bucket has 1, 10 and 100 times as
// many, all of which the edge has seen once. It prints the resident memory, the
// share of answers from memory, how long an answer takes, and how long a
// restart does, with the bucket there and with the bucket away.
//
//	go run ./bench/scale            # up to 1,000,000 hosts: about 5 GB below -dir
//	go run ./bench/scale -most 100000
//
// The edge is this process's own, without a server in front: times are those of
// finding an answer and handing out its bytes.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/edge"
)

func main() {
	most := flag.Int("most", 1_000_000, "the largest number of hosts")
	active := flag.Int("active", 10_000, "how many of them are visited")
	requests := flag.Int("requests", 2_000_000, "requests of each measurement")
	dir := flag.String("dir", os.TempDir(), "where the state directory is made")
	flag.Parse()
	if err := run(*most, *active, *requests, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(most, active, requests int, dir string) error {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(4 << 30)
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "hosts\theap\tresident\ta host\tfrom memory\tp50\tp99\tp99.9\trestart\tthen all active\twith the bucket away\t")
	for hosts := active; hosts <= most; hosts *= 10 {
		r, err := simulate(hosts, active, requests, dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%d\t%.0f MiB\t%.0f MiB\t%.0f B\t%.2f %%\t%s\t%s\t%s\t%s\t%s\t%s\t\n", hosts, float64(r.heap)/(1<<20), float64(r.resident)/(1<<10), float64(r.heap-r.empty)/float64(hosts),
			100*r.fromMemory, r.p50, r.p99, r.p999, r.restart.Round(time.Millisecond), r.warm.Round(time.Millisecond), r.warmAway.Round(time.Millisecond))
	}
	return t.Flush()
}

type result struct {
	empty, heap             uint64
	resident                int64 // KiB
	fromMemory              float64
	p50, p99, p999          time.Duration
	restart, warm, warmAway time.Duration
}

func simulate(hosts, active, requests int, dir string) (r result, err error) {
	dir, err = os.MkdirTemp(dir, "scale-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	bucket := &fleet{hosts: hosts}
	config := edge.Config{
		Store: bucket, BaseDomain: baseDomain, StateDir: filepath.Join(dir, "state"),
		Sizes: edge.Sizes{Routes: hosts, StateBytes: 16 << 30}, Pace: edge.Pace{UnknownPerSecond: 1 << 30},
	}
	r.empty = heap()
	e, err := edge.New(config)
	if err != nil {
		return r, err
	}
	if err := visit(e, "every host once", hosts, func(i int) int { return i }); err != nil {
		return r, err
	}
	// Only this many are visited from now on.
	times, fromMemory, err := traffic(e, hosts, active, requests)
	if err != nil {
		return r, err
	}
	r.fromMemory = fromMemory
	slices.Sort(times)
	at := func(share float64) time.Duration { return times[int(share*float64(len(times)-1))] }
	r.p50, r.p99, r.p999 = at(.5), at(.99), at(.999)
	times = nil
	r.heap = heap()
	debug.FreeOSMemory()
	r.resident = resident()
	e.Close()

	for _, away := range []bool{false, true} {
		bucket.away.Store(away)
		start := time.Now()
		if e, err = edge.New(config); err != nil {
			return r, err
		}
		if err := visit(e, "the first host", 1, func(int) int { return 0 }); err != nil {
			return r, err
		}
		first := time.Since(start)
		// Contents are not what a restart is about: a route is.
		if err := visit(e, "all active hosts", active, func(i int) int { return i * (hosts / active) }); err != nil {
			return r, err
		}
		if away {
			r.warmAway = time.Since(start)
		} else {
			r.restart, r.warm = first, time.Since(start)
		}
		e.Close()
	}
	return r, nil
}

// visit asks for one page at each of n hosts, many at once.
func visit(e *edge.Edge, what string, n int, hostAt func(int) int) error {
	const workers = 64
	fmt.Fprintf(os.Stderr, "%s: %d requests\n", what, n)
	var group sync.WaitGroup
	failed := make(chan error, workers)
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				if _, status := ask(e, hostOf(hostAt(i))); status != http.StatusOK {
					failed <- fmt.Errorf("%s was answered %d", hostOf(hostAt(i)), status)
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// traffic visits the active hosts by Zipf's law from as many goroutines as
// there are cores.
func traffic(e *edge.Edge, hosts, active, requests int) ([]time.Duration, float64, error) {
	workers := runtime.GOMAXPROCS(0)
	names := make([]string, active)
	for i := range names {
		names[i] = hostOf(i * (hosts / active)) // spread over the projects
	}
	all := make([][]time.Duration, workers)
	memory := make([]int, workers)
	errs := make([]error, workers)
	fmt.Fprintf(os.Stderr, "%d of %d hosts by Zipf: %d requests\n", active, hosts, requests)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			zipf := rand.NewZipf(rand.New(rand.NewPCG(uint64(w), 1)), 1.1, 1, uint64(active-1))
			for range requests / workers {
				name := names[zipf.Uint64()]
				start := time.Now()
				result, status := ask(e, name)
				all[w] = append(all[w], time.Since(start))
				if result == edge.ResultMemory {
					memory[w]++
				}
				if status != http.StatusOK {
					errs[w] = fmt.Errorf("%s was answered %d", name, status)
					return
				}
			}
		})
	}
	group.Wait()
	times, fromMemory := []time.Duration{}, 0
	for w := range workers {
		if errs[w] != nil {
			return nil, 0, errs[w]
		}
		times = append(times, all[w]...)
		fromMemory += memory[w]
	}
	return times, float64(fromMemory) / float64(len(times)), nil
}

func ask(e *edge.Edge, host string) (edge.Result, int) {
	q := edge.Request{Method: http.MethodGet, Host: host, Path: "/", Accept: "text/html"}
	ctx := context.Background()
	a := e.Answer(ctx, &q)
	w := sinks.Get().(*sink)
	defer sinks.Put(w)
	if err := a.Write(ctx, w); err != nil {
		return a.Result, http.StatusBadGateway
	}
	return a.Result, a.Status
}

// sink is a ResponseWriter that is used again.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

var sinks = sync.Pool{New: func() any { return &sink{http.Header{}} }}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// resident is the process's memory as the system counts it, in KiB.
func resident() (kib int64) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ = strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		}
	}
	return kib
}
