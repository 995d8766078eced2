package main

import (
	"encoding/xml"
	"errors"
	"io"
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
	got, err := parseWrk(good, false)
	if err != nil || got != (sample{46403.56, 610 * time.Microsecond, 5610 * time.Microsecond}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", good + "  Non-2xx or 3xx responses: 7\n", good + "  Socket errors: connect 0, read 1, write 0, timeout 0\n"} {
		if got, err := parseWrk(bad, false); err == nil {
			t.Errorf("%+v of %q", got, bad)
		}
	}
}

func TestParseWrkTakesRefusalsWhereTheyAreAskedFor(t *testing.T) {
	const out = "     50%    1.00ms\n     99%    2.00ms\n  Non-2xx or 3xx responses: 7\nRequests/sec:    7.00\n"
	if got, err := parseWrk(out, true); err != nil || got.PerSecond != 7 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseWrk("  Socket errors: connect 0, read 1, write 0, timeout 0\n"+out, true); err == nil {
		t.Error("a read that failed is no refusal")
	}
}

func TestParseH2load(t *testing.T) {
	const good = `finished in 3.00s, 12345.67 req/s, 120.56MB/s
requests: 37037 total, 37357 started, 37037 done, 37037 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 37037 2xx, 0 3xx, 0 4xx, 0 5xx
`
	got, err := parseH2load(good)
	if err != nil || got != 12345.67 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", strings.Replace(good, "0 4xx", "3 4xx", 1)} {
		if got, err := parseH2load(bad); err == nil {
			t.Errorf("%v of %q", got, bad)
		}
	}
}

func TestParseRequestLog(t *testing.T) {
	times, err := parseRequestLog(strings.NewReader("1\t200\t300\n2\t200\t100\n3\t200\t200\n"))
	if err != nil || percentile(times, 50) != 200*time.Microsecond || percentile(times, 99) != 200*time.Microsecond {
		t.Errorf("%v, %v", times, err)
	}
	for _, bad := range []string{"", "1\t200\n", "1\t200\tx\n"} {
		if _, err := parseRequestLog(strings.NewReader(bad)); err == nil {
			t.Errorf("no error for %q", bad)
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

// some is a scene of two servers, in which the rounds' ratios are 3, 2.5 and 20.
func some() []result {
	return []result{{Scene: "h1, page <1>", Charted: true, Servers: []serverResult{
		{"this edge", []sample{{PerSecond: 300}, {PerSecond: 100}, {PerSecond: 200}}},
		{"other", []sample{{PerSecond: 100}, {PerSecond: 40}, {PerSecond: 10}}},
	}}}
}

func TestTableShowsRatiosToTheFirst(t *testing.T) {
	var out strings.Builder
	printTable(&out, some())
	if !strings.Contains(out.String(), "3.00×") || strings.Count(out.String(), "×") != 1 {
		t.Error(out.String())
	}
}

func TestChartIsXMLWithEveryServer(t *testing.T) {
	svg := chart(some())
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
	for _, want := range []string{"h1, page &lt;1&gt;", ">this edge<", ">other<", "200/s"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in %s", want, svg)
		}
	}
}
