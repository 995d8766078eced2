package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseWrk(t *testing.T) {
	const good = `Running 3s test @ http://127.0.0.1:1/page
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   850.60us    1.10ms  22.42ms   95.31%
    Req/Sec    46.66k     4.10k   52.68k    73.33%
  Latency Distribution
     50%  610.00us
     99%    5.61ms
  139269 requests in 3.00s, 1.36GB read
Requests/sec:  46403.56
Transfer/sec:    464.92MB
`
	got, err := parseWrk(good)
	if err != nil || got != (sample{46403.56, 5610 * time.Microsecond}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", good + "  Non-2xx or 3xx responses: 7\n", good + "  Socket errors: connect 0, read 1, write 0, timeout 0\n"} {
		if got, err := parseWrk(bad); err == nil {
			t.Errorf("%+v of %q", got, bad)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 9, 2}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.values, got, c.want)
		}
	}
}

func TestTableShowsRatiosToTheFirst(t *testing.T) {
	var out strings.Builder
	printTable(&out, []server{{name: "this edge"}, {name: "other"}}, []file{{name: "page"}}, map[measured][]sample{
		{"this edge", "page"}: {{300, time.Millisecond}, {100, time.Millisecond}, {200, time.Millisecond}},
		{"other", "page"}:     {{100, time.Millisecond}, {40, time.Millisecond}, {10, time.Millisecond}},
	})
	if !strings.Contains(out.String(), "3.00×") || strings.Count(out.String(), "×") != 1 {
		t.Error(out.String())
	}
}
