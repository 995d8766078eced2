package publish

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// largeSite writes n pages of 1 to 20 KiB of text.
func largeSite(t testing.TB, n int) string {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the site builds a page from text with <div class=\"row\"> and </div> <p> </p> links <a href=\"/docs\"> function return const export default import of in to it is deployment edge bucket manifest")
	for i := range n {
		folder := filepath.Join(dir, fmt.Sprintf("d%03d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		size := 1<<10 + random.IntN(19<<10)
		var b strings.Builder
		fmt.Fprintf(&b, "<!doctype html><title>%d</title>", i)
		for b.Len() < size {
			b.WriteString(words[random.IntN(len(words))])
			fmt.Fprintf(&b, " %x ", random.Uint32()>>(random.IntN(32)))
		}
		name := fmt.Sprintf("%05d%s", i, [...]string{".html", ".js", ".css", ".json"}[i%4])
		if err := os.WriteFile(filepath.Join(folder, name), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<h1>one</h1>"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// BenchmarkFirstDeploy publishes 10,000 files of 1 to 20 KiB that nobody has
// seen before, compression with its budget included.
func BenchmarkFirstDeploy(b *testing.B) {
	dir := largeSite(b, 10_000)
	for b.Loop() {
		p := newPlane(b)
		steps := map[Step]time.Duration{}
		start, step := time.Now(), Step("")
		result, err := Run(b.Context(), p.client(), Options{Dir: dir, Project: "p1", Deployment: "d1", Progress: func(r Progress) {
			if r.Step != step {
				steps[step], step, start = time.Since(start), r.Step, time.Now()
			}
		}})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(result.UploadedBlobs), "blobs")
		for s, d := range steps {
			if s != "" {
				b.ReportMetric(d.Seconds(), "s/"+string(s))
			}
		}
	}
}

// BenchmarkRedeploy publishes them again with one file changed.
func BenchmarkRedeploy(b *testing.B) {
	dir := largeSite(b, 10_000)
	p := newPlane(b)
	client := p.client()
	o := Options{Dir: dir, Project: "p1", Deployment: "d1", Budget: time.Nanosecond}
	if _, err := Run(b.Context(), client, o); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		if err := os.WriteFile(filepath.Join(dir, "index.html"), fmt.Appendf(nil, "<h1>%d</h1>", i), 0o644); err != nil {
			b.Fatal(err)
		}
		p.kept = p.kept[:1]
		result, err := Run(b.Context(), client, o)
		if err != nil || result.UploadedBlobs != 1 {
			b.Fatal(result, err)
		}
	}
}
