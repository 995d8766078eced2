package certstore

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestNothingIsOpenedBeforeItIsUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "local")
	opened := 0
	bucket := dirBucket(t)
	s := New(Config{
		Open: func(context.Context) (Bucket, error) {
			if opened++; opened == 1 {
				return nil, errAway
			}
			return leftOpen{bucket}, nil
		},
		Identity: bucket.Identity(), Secrets: secrets(t, secretOf('a')), LocalDir: dir, Log: slog.New(slog.DiscardHandler),
	})
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || opened != 0 {
		t.Fatalf("opened %d times; %v", opened, err)
	}
	if err := s.Store(t.Context(), "a", nil); !errors.Is(err, errAway) {
		t.Fatalf("got %v", err)
	}
	store(t, s, "a", "1")
	if opened != 2 {
		t.Fatalf("opened %d times", opened)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	unused := New(Config{Open: func(context.Context) (Bucket, error) { return nil, errAway }, Secrets: secrets(t, secretOf('a'))})
	if err := unused.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryMetricIsDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/certificates.md")
	if err != nil {
		t.Fatal(err)
	}
	s := openEdge(t, dirBucket(t), edgeOptions{})
	store(t, s, siteFolder+"/a.example.com.crt", obtain(t, time.Now().Add(5*24*time.Hour)).crt)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.Metrics().Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if !strings.Contains(string(docs), "`"+family.GetName()) {
			t.Errorf("docs/certificates.md does not name %s", family.GetName())
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if !strings.Contains(string(docs), "`"+label.GetValue()+"`") {
					t.Errorf("docs/certificates.md does not name %s=%s of %s", label.GetName(), label.GetValue(), family.GetName())
				}
				if label.GetName() == "days_left" && metric.GetGauge().GetValue() != map[string]float64{"7": 1}[label.GetValue()] {
					t.Errorf("%v certificates have %s days left", metric.GetGauge().GetValue(), label.GetValue())
				}
			}
		}
	}
}

func TestCertificatesAreCountedByTheDaysTheyHaveLeft(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	for left, label := range map[time.Duration]string{
		-time.Hour: "expired", 0: "expired", time.Second: "1", day: "1", day + 1: "7", 7 * day: "7", 7*day + 1: "14",
		14 * day: "14", 14*day + 1: "30", 30 * day: "30", 30*day + 1: "more", 1000 * day: "more",
	} {
		c := certificates{until: map[string]time.Time{"x": now.Add(left)}}
		for i, n := range countDaysLeft(c.ends(now), now) {
			if want := daysLeft[i].label == label; (n == 1) != want {
				t.Errorf("%v left: %d with %s", left, n, daysLeft[i].label)
			}
		}
	}
}

// After a restart the copies say which certificates there are.
func TestCertificatesAreCountedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, dir := newFaulty(t), t.TempDir()
		first := openEdge(t, bucket, edgeOptions{local: dir})
		obtain(t, time.Now().Add(20*24*time.Hour)).store(t, first)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		bucket.away()
		s := openEdge(t, bucket, edgeOptions{local: dir})
		settle()
		if counts := countDaysLeft(s.certificates.ends(time.Now()), time.Now()); counts[4] != 1 {
			t.Errorf("got %v", counts)
		}
		if err := s.Delete(t.Context(), siteFolder+"/a.example.com.crt"); err == nil {
			t.Error("deleted without the bucket")
		}
		if counts := countDaysLeft(s.certificates.ends(time.Now()), time.Now()); counts[4] != 0 {
			t.Errorf("got %v", counts)
		}
	})
}
