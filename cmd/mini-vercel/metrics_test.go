package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/mini-vercel/mini-vercel/builder/sandbox"
	"github.com/mini-vercel/mini-vercel/controlplane/runner"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
	"github.com/mini-vercel/mini-vercel/internal/mototest"
)

// allCollectors are those of a whole platform: the edge with a certificate storage
// that several share, and the control plane with Kafka and a ClickHouse that is away.
func allCollectors(t *testing.T) []prometheus.Collector {
	t.Helper()
	dir := t.TempDir()
	s, err := Load([]string{"DATA_DIR=" + dir, "PORT=0", "EDGE_PORT=0", "METRICS_ADDR=off", "KAFKA_BROKERS=" + kafkatest.Shared(t).Plain()[0], "CLICKHOUSE_HOST=127.0.0.1", "CLICKHOUSE_PORT=1", "CERTS_DIR=" + t.TempDir(), "EDGE_SECRET=b1pNQ2Y4dVRxV0hKc0x5R2tEeFZhUmVOcEJ0SWdTd0U=", "EDGE_METRICS_PROJECTS=1",
		"SUPABASE_URL=http://127.0.0.1:1", "SUPABASE_ANON_KEY=sb_publishable_x"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := openDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	p, err := openControlPlane(t.Context(), s, data, sandbox.Isolation{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	e, err := startEdge(s, data.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := p.start(t.Context(), 80); err != nil {
		t.Fatal(err)
	}
	for _, pair := range mototest.Environ("http://127.0.0.1:1") {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	tasks, err := runner.NewECS(t.Context(), runner.ECSOptions{Cluster: "c", TaskDefinition: "d", Installation: "i"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tasks.Close)
	return slices.Concat(e.running.Collectors(), p.collectors(), tasks.Collectors())
}

var (
	descName   = regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]*)"`)
	descLabels = regexp.MustCompile(`constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)
	constLabel = regexp.MustCompile(`([a-z_]+)="`)
)

// TestTheTableOfMetricsIsComplete compares what is collected with the table in
// docs/metrics.md, both ways: names, and labels.
func TestTheTableOfMetricsIsComplete(t *testing.T) {
	have := map[string]string{}
	collectors, ch := allCollectors(t), make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		for _, c := range collectors {
			c.Describe(ch)
		}
	}()
	for d := range ch {
		name, labels := descName.FindStringSubmatch(d.String()), descLabels.FindStringSubmatch(d.String())
		if name == nil || labels == nil {
			t.Fatalf("what is %s?", d)
		}
		var all []string
		for _, m := range constLabel.FindAllStringSubmatch(labels[1], -1) {
			all = append(all, m[1])
		}
		all = append(all, strings.FieldsFunc(labels[2], func(r rune) bool { return r == ',' || r == ' ' })...)
		slices.Sort(all)
		have[name[1]] = strings.Join(all, ", ")
		if os.Getenv("SHOW") != "" {
			fmt.Println("ROW", name[1], "|", have[name[1]], "|", name[2])
		}
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(mini_vercel_[a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\| [^|]+ \\| [^|]+ \\|$")
	listed := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		labels := strings.ReplaceAll(strings.TrimSpace(m[3]), "`", "")
		sorted := strings.Split(labels, ", ")
		slices.Sort(sorted)
		labels = strings.Join(sorted, ", ")
		if want, ok := have[m[1]]; !ok {
			t.Errorf("docs/metrics.md has %s, which nothing measures", m[1])
		} else if want != labels {
			t.Errorf("docs/metrics.md gives %s the labels %q, it has %q", m[1], labels, want)
		}
		if listed[m[1]] {
			t.Errorf("docs/metrics.md has %s twice", m[1])
		}
		listed[m[1]] = true
	}
	for name := range have {
		if !listed[name] {
			t.Errorf("docs/metrics.md lacks a row of %s", name)
		}
	}
}

// promtool runs Prometheus's own checks; the test is skipped where it is missing.
func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is missing: install prometheus")
		}
		t.Skip("promtool is missing: install prometheus")
	}
	c := exec.CommandContext(t.Context(), path, args...)
	c.Stdin = stdin
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestMetricsAreAsPrometheusWantsThem(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(allCollectors(t)...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var scrape bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&scrape, f); err != nil {
			t.Fatal(err)
		}
	}
	promtool(t, &scrape, "check", "metrics")
}

func TestTheAlertRulesWork(t *testing.T) {
	promtool(t, nil, "check", "rules", "../../deploy/prometheus/alerts.yml")
	rules, err := os.ReadFile("../../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../../deploy/prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(rules), -1)
	if len(names) == 0 || strings.Count(string(rules), "runbook: ") != len(names) {
		t.Errorf("%d alerts, and not all have a runbook", len(names))
	}
	for _, m := range names {
		for _, does := range []string{" fires\n", " is silent\n"} {
			if !strings.Contains(string(tests), "name: "+m[1]+does) {
				t.Errorf("alerts_test.yml does not try that %s%s", m[1], strings.TrimSpace(does))
			}
		}
	}
	promtool(t, nil, "test", "rules", "../../deploy/prometheus/alerts_test.yml")
}
