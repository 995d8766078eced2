package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// measure is a metric as docs/metrics.md has it, which another test compares with
// what is measured.
type measure struct {
	kind   string
	labels []string
	text   string // what it is and when to act, with the labels' values
}

func documentedMetrics(t *testing.T) map[string]measure {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]measure{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(mini_vercel_[a-z0-9_]+)` \\| (\\w+) \\| ([^|]*) \\| ([^|]+ \\| [^|]+) \\|").FindAllStringSubmatch(string(page), -1) {
		labels := strings.FieldsFunc(strings.ReplaceAll(m[3], "`", ""), func(r rune) bool { return r == ',' || r == ' ' })
		all[m[1]] = measure{m[2], labels, m[4]}
	}
	return all
}

var (
	selector  = regexp.MustCompile(`\b(mini_vercel_\w+)(?:\{([^}]*)\})?`)
	matcher   = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping  = regexp.MustCompile(`\b(?:by|on|group_left|group_right)\s*\(([^)]*)\)`)
	legend    = regexp.MustCompile(`\{\{\s*([\w.$]+)\s*\}\}`)
	labelWord = regexp.MustCompile(`\w+`)
	// addedLabels are Prometheus's own.
	addedLabels = []string{"instance", "job"}
)

// asks says what is wrong with an expression: names, labels or values of labels
// that nothing has. It returns the labels that its result may have.
func asks(metrics map[string]measure, expr string) (labels, wrong []string) {
	labels = slices.Clone(addedLabels)
	found := selector.FindAllStringSubmatch(expr, -1)
	for _, m := range found {
		name, of := m[1], addedLabels
		one, ok := metrics[name]
		if !ok {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if one, ok = metrics[base]; !ok || one.kind != "histogram" {
				wrong = append(wrong, name+" is not measured")
				continue
			}
			if strings.HasSuffix(name, "_bucket") {
				of = append([]string{"le"}, of...)
			}
		} else if one.kind == "histogram" {
			wrong = append(wrong, name+" is a histogram")
		}
		of = slices.Concat(of, one.labels)
		labels = append(labels, of...)
		for _, match := range matcher.FindAllStringSubmatch(m[2], -1) {
			label, operator, value := match[1], match[2], match[3]
			if !slices.Contains(of, label) {
				wrong = append(wrong, name+" has no label "+label)
			}
			if slices.Contains(addedLabels, label) || strings.Contains(value, "$") {
				continue
			}
			values := []string{value}
			if strings.HasSuffix(operator, "~") {
				values = labelWord.FindAllString(value, -1)
			}
			for _, v := range values {
				if label != "le" && !regexp.MustCompile(`\b`+regexp.QuoteMeta(v)+`\b`).MatchString(one.text) {
					wrong = append(wrong, name+" has no "+label+"="+v)
				}
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, label := range labelWord.FindAllString(m[1], -1) {
			if !slices.Contains(labels, label) {
				wrong = append(wrong, "nothing in it has a label "+label)
			}
		}
	}
	if len(found) == 0 && !regexp.MustCompile(`\bup\b|\b(process|go)_\w+`).MatchString(expr) {
		wrong = append(wrong, "it asks for nothing of ours")
	}
	return labels, wrong
}

// grafanaPanel is what matters here of a panel; rows that are folded have some.
type grafanaPanel struct {
	ID      int
	Type    string
	Title   string
	Targets []struct{ RefID, Expr, LegendFormat string }
	Panels  []grafanaPanel
	GridPos struct{ X, Y, W, H int }
}

// TestDashboardsAskForWhatIsMeasured looks at every panel and every variable.
func TestDashboardsAskForWhatIsMeasured(t *testing.T) {
	metrics := documentedMetrics(t)
	drawn := map[string]bool{}
	var rules strings.Builder // of every expression, for Prometheus's own check
	rules.WriteString("groups:\n  - name: panels\n    rules:\n")
	for _, name := range []string{"mini-vercel.json", "mini-vercel-controlplane.json"} {
		text, err := os.ReadFile("../../deploy/grafana/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Panels     []grafanaPanel
			Templating struct{ List []struct{ Query any } }
		}
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatal(err)
		}
		ids, places := map[int]bool{}, map[[2]int]bool{}
		var look func(panels []grafanaPanel)
		look = func(panels []grafanaPanel) {
			for _, p := range panels {
				if place := [2]int{p.GridPos.X, p.GridPos.Y}; ids[p.ID] || places[place] {
					t.Errorf("%s: %q has the number or the place of another panel", name, p.Title)
				} else {
					ids[p.ID], places[place] = true, true
				}
				look(p.Panels)
				if p.Type != "row" && p.Type != "text" && len(p.Targets) == 0 {
					t.Errorf("%s: %q asks for nothing", name, p.Title)
				}
				for _, target := range p.Targets {
					expr, _ := json.Marshal(regexp.MustCompile(`\$__\w+`).ReplaceAllString(target.Expr, "5m"))
					fmt.Fprintf(&rules, "      - {record: panel, labels: {n: %q}, expr: %s}\n", fmt.Sprint(name, p.ID, target.RefID), expr)
					labels, wrong := asks(metrics, target.Expr)
					for _, w := range wrong {
						t.Errorf("%s: %q: %s: %s", name, p.Title, w, target.Expr)
					}
					for _, m := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
						if !slices.Contains(labels, m[1]) {
							t.Errorf("%s: %q has no label %s for its legend", name, p.Title, m[1])
						}
					}
					for _, m := range selector.FindAllStringSubmatch(target.Expr, -1) {
						drawn[m[1]] = true
					}
				}
			}
		}
		look(board.Panels)
		for _, variable := range board.Templating.List {
			query, _ := json.Marshal(variable.Query)
			for _, m := range selector.FindAllStringSubmatch(string(query), -1) {
				if _, ok := metrics[m[1]]; !ok {
					t.Errorf("%s: a variable asks for %s", name, m[1])
				}
			}
		}
	}
	file := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", file)
	for _, metric := range []string{"ecs_tasks", "ecs_calls_total", "ecs_tasks_ended_total", "builds_taken_over_total", "kafka_publish_duration_seconds_bucket", "kafka_lag_seconds", "log_batches_total"} {
		if !drawn["mini_vercel_controlplane_"+metric] {
			t.Errorf("no panel draws %s", metric)
		}
	}
	for _, metric := range []string{"keys_age_seconds", "tokens_total", "key_fetches_total"} {
		if !drawn["mini_vercel_supabase_"+metric] {
			t.Errorf("no panel draws Supabase's %s", metric)
		}
	}
}

func TestAlertsAskForWhatIsMeasured(t *testing.T) {
	metrics := documentedMetrics(t)
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			rules++
			labels, wrong := asks(metrics, rule.Expr)
			for _, w := range wrong {
				t.Errorf("%s: %s", rule.Alert, w)
			}
			for _, text := range rule.Annotations {
				for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(text, -1) {
					if !slices.Contains(labels, m[1]) {
						t.Errorf("%s tells a label %s that it does not have", rule.Alert, m[1])
					}
				}
				for _, m := range selector.FindAllString(text, -1) {
					if _, ok := metrics[m]; !ok {
						t.Errorf("%s speaks of %s", rule.Alert, m)
					}
				}
			}
		}
	}
	if rules < 20 {
		t.Errorf("%d rules", rules)
	}
}

// TestWhatAsksIsLookedAt has expressions that are wrong in one way each.
func TestWhatAsksIsLookedAt(t *testing.T) {
	metrics := documentedMetrics(t)
	for expr, want := range map[string]string{
		`sum(mini_vercel_controlplane_ecs_tasks{instance=~"$instance"})`:                                             "",
		`sum by (le) (rate(mini_vercel_controlplane_kafka_publish_duration_seconds_bucket{result="published"}[5m]))`: "",
		`mini_vercel_controlplane_ecs_task`:                                                                          "is not measured",
		`mini_vercel_controlplane_ecs_tasks_bucket`:                                                                  "is not measured",
		`mini_vercel_controlplane_ecs_tasks{reason="lost"}`:                                                          "has no label reason",
		`mini_vercel_controlplane_ecs_tasks_ended_total{reason="vanished"}`:                                          "has no reason=vanished",
		`sum by (le) (mini_vercel_controlplane_ecs_tasks)`:                                                           "has a label le",
		`mini_vercel_controlplane_kafka_publish_duration_seconds`:                                                    "is a histogram",
		`vector(1)`: "nothing of ours",
	} {
		_, wrong := asks(metrics, expr)
		if got := strings.Join(wrong, "; "); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
