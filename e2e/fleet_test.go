//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// TestAFleetThatIsKilled runs three control planes, three edges and every engine
// as real processes, kills each kind in turn and starts it again, while
// deployments and visitors go on. Then it counts: nothing is lost, nothing is
// there twice, and no visitor has noticed.
func TestAFleetThatIsKilled(t *testing.T) {
	f := startFleet(t, 3, 3)
	v := f.visitors(4)
	w := &work{f: f, v: v, ids: map[string]wanted{}}
	w.deployFolders(3, "warm") // something to visit from the beginning

	stop := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() { w.builds(5, 6, 100*time.Millisecond) })
	working.Go(func() { w.deployFolders(17, "site") })
	go func() { working.Wait(); close(stop) }()

	kills := []struct {
		name        string
		kill, start func()
	}{
		{"S3", f.s3.Kill, func() { f.s3.Start(t) }},
		{"PostgreSQL", f.pg.Kill, func() { f.pg.Start(t) }},
		{"control plane", f.planes[0].kill, f.planes[0].start},
		{"Kafka", f.kafka.Brokers[0].Kill, func() {
			if err := f.kafka.Brokers[0].Start(); err != nil {
				t.Error(err)
			}
		}},
		{"ClickHouse", f.click.Kill, func() { f.click.Start(t) }},
		{"control plane", f.planes[1].kill, f.planes[1].start},
		{"edge", f.edges[0].kill, f.edges[0].start},
		{"edge", f.edges[1].kill, f.edges[1].start},
		{"control plane", f.planes[2].kill, f.planes[2].start},
	}
	for _, k := range kills {
		before := w.done.Load()
		t.Logf("%d deployments are ready, %d pages were visited: killing a %s", before, v.seen.Load(), k.name)
		k.kill()
		v.more(40) // visits, while it is away
		k.start()
		for _, n := range append(f.planes, f.edges...) {
			if strings.HasPrefix(n.name, "edge") {
				n.answers("/")
			} else {
				n.answers("/health")
			}
		}
		// Something has ended since, or there is nothing left.
		deadline := time.After(90 * time.Second)
		for more := true; more && w.done.Load() < before+2; {
			select {
			case <-stop:
				more = false
			case <-deadline:
				t.Fatalf("nothing goes on after a %s was killed", k.name)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	<-stop
	v.more(40)
	v.end()
	w.count()
}

// TestRollingRestart stops one control plane after the other, as an upgrade
// does, while deployments and requests go on: no request fails, and no build
// needs a second attempt.
func TestRollingRestart(t *testing.T) {
	f := startFleet(t, 3, 1)
	v := f.visitors(1)
	w := &work{f: f, v: v, ids: map[string]wanted{}, strict: true}
	w.deployFolders(1, "warm")
	end := make(chan struct{})
	var asked atomic.Int64
	var asking, working sync.WaitGroup
	for range 3 {
		asking.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				method, path, in := http.MethodGet, "/projects", any(nil)
				if n%3 == 0 {
					method, path, in = http.MethodPost, "/projects/no-such-project/blobs/known", map[string]any{"hashes": []string{}}
				}
				status, err := f.call(method, path, nil, in, nil)
				if in != nil && status == http.StatusNotFound {
					err = nil // it was answered
				}
				if err != nil {
					t.Errorf("a request failed during the restart: %v", err)
					return
				}
				asked.Add(1)
			}
		})
	}
	working.Go(func() { w.builds(3, 4, 100*time.Millisecond) })
	working.Go(func() { w.deployFolders(5, "site") })
	for _, p := range f.planes {
		before := asked.Load()
		p.end(syscall.SIGTERM)
		p.start()
		p.answers("/ready")
		p.eventually("requests go on", func() bool { return asked.Load() > before+20 || t.Failed() })
	}
	working.Wait()
	close(end)
	asking.Wait()
	v.end()
	if n := f.lb.failed.Load(); n != 0 {
		t.Errorf("the balancer had to answer %d requests itself", n)
	}
	w.count()
}

// work deploys, and knows what must have become of it.
type work struct {
	f      *fleet
	v      *visitors
	strict bool // every attempt is the only one, but for those of again
	done   atomic.Int64

	mu    sync.Mutex
	ids   map[string]wanted // by deployment
	again map[string]bool   // deployments that must have needed a second attempt
	tails []*logTail
}

type wanted struct {
	project string
	body    string
	lines   []string // of the build's log
}

func (w *work) expect(id string, want wanted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids[id] = want
}

// deployFolders deploys folders by the command line, one after the other.
func (w *work) deployFolders(count int, name string) {
	for n := range count {
		project := fmt.Sprintf("%s-%d", name, n)
		if !w.deployFolder(project, "folder "+project) {
			return
		}
	}
}

// deployFolder reports whether it could be deployed.
func (w *work) deployFolder(project, body string) bool {
	dir, err := os.MkdirTemp(w.f.t.TempDir(), "folder")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "index.html"), []byte(body), 0o644)
	}
	if err != nil {
		w.f.t.Error(err)
		return false
	}
	stdout, stderr, err := w.f.cli("deploy", "--json", "-y", dir, "--project", project, "--prod")
	var r result
	if err == nil {
		err = json.Unmarshal([]byte(stdout), &r)
	}
	if err != nil {
		w.f.t.Errorf("deploy %s: %v\n%s\n%s", project, err, stdout, tail(stderr, 2000))
		return false
	}
	w.expect(r.ID, wanted{project: project, body: body})
	w.live(r.ID)
	return true
}

// followEach is of how many builds the log of one is followed.
const followEach = 3

// builds queues deployments of repositories and waits until they are live. Each
// build rests a few times. Some logs are followed from the beginning.
func (w *work) builds(projects, each int, rest time.Duration) {
	f := w.f
	var waiting sync.WaitGroup
	for n := range projects {
		name := fmt.Sprintf("repo-%d", n)
		const count = 60
		var lines []string
		for i := range count {
			lines = append(lines, fmt.Sprintf("%s line %d", name, i))
		}
		files := script(fmt.Sprintf(`mkdir -p dist && echo "built %s" > dist/index.html && i=0 && while [ $i -lt %d ]; do echo "%s line $i"; i=$((i+1)); [ $((i %% 20)) -eq 0 ] && sleep %.1f; done; true`, name, count, name, rest.Seconds()))
		dir, url := repository(f.t, files)
		var created struct{ ID string }
		f.must(http.MethodPost, "/projects", nil, map[string]any{"name": name, "gitURL": url, "productionBranch": "main"}, &created)
		for b := range each {
			branch := fmt.Sprintf("b%d", b)
			git(f.t, dir, "branch", branch)
			var d struct{ ID string }
			f.must(http.MethodPost, "/deploy", map[string]string{"Idempotency-Key": name + branch}, map[string]any{"projectId": created.ID, "branch": branch}, &d)
			w.expect(d.ID, wanted{project: name, body: "built " + name, lines: lines})
			if b%followEach == 0 {
				w.follow(d.ID, "")
			}
			waiting.Go(func() { w.live(d.ID) })
		}
	}
	waiting.Wait()
}

// follow follows a build's log, and checks it in the end.
func (w *work) follow(id, url string) {
	l := w.f.follow(id, url)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tails = append(w.tails, l)
}

// live waits until a deployment is live, and has visitors come to it.
func (w *work) live(id string) {
	deadline := time.Now().Add(4 * time.Minute)
	for {
		var d controlplane.Deployment
		_, err := w.f.call(http.MethodGet, "/deployments/"+id, nil, nil, &d)
		switch {
		case err == nil && d.LiveAt != nil:
			w.mu.Lock()
			want := w.ids[id]
			w.mu.Unlock()
			if host := hostOf.FindStringSubmatch(d.DeploymentURL); host != nil {
				w.v.add(host[1], want.body)
			} else {
				w.f.t.Errorf("deployment %s has the address %q", id, d.DeploymentURL)
			}
			w.done.Add(1)
			return
		case err == nil && d.Status.Ended() && d.Status != controlplane.StatusReady:
			w.f.t.Errorf("deployment %s: %s: %s", id, d.Status, d.Reason)
			return
		case time.Now().After(deadline):
			w.f.t.Errorf("deployment %s is not live after 4 minutes: %s %s %v", id, d.Status, d.Reason, err)
			return
		case w.f.t.Context().Err() != nil:
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// count compares what there is with what was asked for.
func (w *work) count() {
	t, f := w.f.t, w.f
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	attempts := map[int]int{}
	for id, want := range w.ids {
		var d controlplane.Deployment
		f.must(http.MethodGet, "/deployments/"+id, nil, nil, &d)
		attempts[d.Attempt]++
		if d.Status != controlplane.StatusReady || d.LiveAt == nil {
			t.Errorf("%s of %s: %s %s", id, want.project, d.Status, d.Reason)
		}
		attempt := 1
		if w.again[id] {
			attempt = 2
		}
		if w.strict && d.Attempt != attempt {
			t.Errorf("%s of %s needed %d attempts, not %d: %s", id, want.project, d.Attempt, attempt, d.Reason)
		}
		if want.lines != nil {
			w.checkLog(&d, want)
		}
	}
	t.Logf("%d deployments, by their attempts: %v", len(w.ids), attempts)
	opened := 0
	for _, l := range w.tails {
		l.check()
		opened += l.opened
	}
	t.Logf("%d logs were followed, by %d streams", len(w.tails), opened)
	// Nothing is there twice: what the database has is what was asked for.
	var rows []string
	cursor := ""
	for {
		var page struct {
			Items []controlplane.Deployment
			Next  string
		}
		f.must(http.MethodGet, "/deployments?limit=100&cursor="+cursor, nil, nil, &page)
		for _, d := range page.Items {
			if _, known := w.ids[d.ID]; !known {
				rows = append(rows, fmt.Sprintf("%s %s %s", d.ID, d.Kind, d.Status))
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(rows) > 0 {
		t.Errorf("deployments that nobody asked for: %v", rows)
	}
	w.nothingLeft()
}

// checkLog compares the lines of the last attempt's build with what it printed:
// all of them, each once, in order. Earlier attempts were cut off somewhere.
func (w *work) checkLog(d *controlplane.Deployment, want wanted) {
	t := w.f.t
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		of := map[int][]string{}
		last := ""
		for _, l := range w.f.history(d.ID) {
			if place(l) == last {
				t.Errorf("line %s of %s is there twice", last, d.ID)
			}
			last = place(l)
			if strings.HasPrefix(l.Text, want.project+" line ") {
				of[l.Attempt] = append(of[l.Attempt], l.Text)
			}
		}
		complete := strings.Join(of[d.Attempt], "\n") == strings.Join(want.lines, "\n")
		// History may come late, as the log store catches up.
		if !complete && time.Now().Before(deadline) {
			time.Sleep(200 * time.Millisecond)
			continue
		}
		if !complete {
			t.Errorf("the log of %s, attempt %d, has %d lines: %q", d.ID, d.Attempt, len(of[d.Attempt]), of[d.Attempt])
		}
		for attempt, lines := range of {
			if attempt != d.Attempt && strings.Join(lines, "\n") != strings.Join(want.lines[:min(len(lines), len(want.lines))], "\n") {
				t.Errorf("the log of %s, attempt %d, is not a beginning: %q", d.ID, attempt, lines)
			}
		}
		return
	}
}

// nothingLeft looks at what control planes share their work by.
func (w *work) nothingLeft() {
	t, f := w.f.t, w.f
	t.Helper()
	left := func() string {
		var out []string
		for _, q := range []string{
			"SELECT 'active deployment ' || id FROM deployments WHERE status IN ('QUEUED', 'IN_PROGRESS')",
			"SELECT 'unpublished host ' || host FROM hosts WHERE generation > published",
			"SELECT 'unpublished project ' || id FROM projects WHERE generation > published",
			"SELECT 'lease without a holder ' || name FROM leases WHERE until < extract(epoch FROM now()) * 1000000 - 20000000",
			"SELECT 'claimed deployment ' || id FROM deployments WHERE claimed_by <> ''",
		} {
			rows, err := f.query(q)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, rows...)
		}
		return strings.Join(out, "\n")
	}
	deadline := time.Now().Add(20 * time.Second)
	for left() != "" && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
	}
	if rest := left(); rest != "" {
		t.Errorf("left in the database:\n%s", rest)
	}
}

// visitors ask for pages all the time, and compare each byte.
type visitors struct {
	f     *fleet
	mu    sync.Mutex
	pages []page
	seen  atomic.Int64
	stop  chan struct{}
	all   sync.WaitGroup
}

type page struct{ host, body string }

func (f *fleet) visitors(count int) *visitors {
	v := &visitors{f: f, stop: make(chan struct{})}
	for n := range count {
		v.all.Go(func() {
			for i := n; ; i++ {
				select {
				case <-v.stop:
					return
				case <-time.After(5 * time.Millisecond): // two cores have other things to do
				}
				v.visit(i)
			}
		})
	}
	f.t.Cleanup(v.end)
	return v
}

func (v *visitors) visit(i int) {
	v.mu.Lock()
	if len(v.pages) == 0 {
		v.mu.Unlock()
		return
	}
	p := v.pages[i%len(v.pages)]
	v.mu.Unlock()
	status, body, err := v.f.visit(i, p.host, "/")
	if v.f.t.Context().Err() != nil {
		return
	}
	if err != nil || status != http.StatusOK || strings.TrimSpace(body) != p.body {
		v.f.t.Errorf("a visitor of %s sees %d %q %v", p.host, status, tail(body, 200), err)
	}
	v.seen.Add(1)
}

// add has visitors come to a page, once each edge has shown it.
func (v *visitors) add(host, body string) {
	for i, e := range v.f.edges {
		deadline := time.Now().Add(90 * time.Second)
		for {
			status, got, err := visitAt(v.f.t.Context(), e.address, host, "/")
			if err == nil && status == http.StatusOK && strings.TrimSpace(got) == body {
				break
			}
			if err == nil && status == http.StatusOK {
				v.f.t.Errorf("edge %d shows %q at %s", i, got, host)
			}
			if time.Now().After(deadline) || v.f.t.Context().Err() != nil {
				v.f.t.Errorf("edge %d does not show %s: %d %v", i, host, status, err)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pages = append(v.pages, page{host, body})
}

// more waits until so many pages more were seen.
func (v *visitors) more(count int64) {
	until := v.seen.Load() + count
	deadline := time.Now().Add(60 * time.Second)
	for v.seen.Load() < until {
		if time.Now().After(deadline) {
			v.f.t.Fatal("visitors see nothing any more")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (v *visitors) end() {
	v.mu.Lock()
	select {
	case <-v.stop:
	default:
		close(v.stop)
	}
	v.mu.Unlock()
	v.all.Wait()
}
