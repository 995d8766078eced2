package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func newDisk(t testing.TB, stateDir string, maxBytes int64) *disk {
	t.Helper()
	return openDisk(stateDir, maxBytes, slog.New(slog.DiscardHandler), newMetrics(nil), time.Now)
}

// chunkOf makes a chunk of a project and its key.
func chunkOf(project string, n, size int) (chunkKey, []byte) {
	b := bytes.Repeat([]byte(fmt.Sprintf("%08d", n)), size/8+1)[:size]
	return chunkKey{projectSalt(project), site.HashOf(b)}, b
}

// count returns what a counter says.
func count(c prometheus.Counter) int {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	return int(families[0].GetMetric()[0].GetCounter().GetValue())
}

func TestDiskKeepsChunks(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(t, dir, 1<<30)
	key, b := chunkOf("a", 1, 5000)
	if d.has(key, 5000) || d.load(key, 5000, false) != nil {
		t.Error("it is there before it was put")
	}
	d.put(key, b, false)
	if !d.has(key, 5000) || !bytes.Equal(d.load(key, 5000, false), b) {
		t.Error("what waits to be written is not found")
	}
	d.write()
	if names, _ := filepath.Glob(filepath.Join(dir, "chunks", "*", "*")); len(names) != 1 {
		t.Fatalf("files: %v", names)
	}
	for _, d := range []*disk{d, newDisk(t, dir, 1<<30)} { // and after a restart
		if !d.has(key, 5000) || !bytes.Equal(d.load(key, 5000, false), b) {
			t.Error("it is not found")
		}
		if d.has(key, 4999) {
			t.Error("a file of another size will do")
		}
		other, _ := chunkOf("b", 1, 5000)
		if d.has(other, 5000) || d.load(other, 5000, false) != nil {
			t.Error("another project's chunk is shared")
		}
		if s := d.stats(); s.hits == 0 || s.misses == 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestTornAndForeignFilesCountAsMissing(t *testing.T) {
	key, b := chunkOf("a", 1, 5000)
	for name, damage := range map[string]func(t *testing.T, path string){
		"empty":  func(t *testing.T, path string) { write(t, path, nil) },
		"cut":    func(t *testing.T, path string) { write(t, path, b[:4999]) },
		"longer": func(t *testing.T, path string) { write(t, path, append(bytes.Clone(b), 'x')) },
		"a bit": func(t *testing.T, path string) {
			wrong := bytes.Clone(b)
			wrong[4000] ^= 1
			write(t, path, wrong)
		},
		"a folder": func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		},
		"a link": func(t *testing.T, path string) {
			write(t, path+"x", b)
			if err := errors.Join(os.Remove(path), os.Symlink(path+"x", path)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t, t.TempDir(), 1<<30)
			d.put(key, b, true)
			d.write()
			damage(t, d.path(key))
			if f := d.open(key); f != nil {
				t.Error("it is sent as it is")
			}
			if got := d.load(key, 5000, true); got != nil {
				t.Errorf("got %d bytes", len(got))
			}
			if name == "a folder" {
				return // nothing can be written in its place
			}
			d.paused = time.Time{} // to follow a link is a failure
			d.put(key, b, true)
			d.write()
			if got := d.load(key, 5000, true); !bytes.Equal(got, b) {
				t.Errorf("written again: got %d bytes", len(got))
			}
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOnlyVerifiedFilesAreSentAsTheyAre opens what was written or read by this
// process, and nothing else.
func TestOnlyVerifiedFilesAreSentAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(t, dir, 1<<30)
	key, b := chunkOf("a", 1, 5000)
	small, c := chunkOf("a", 2, 500)
	d.put(key, b, true)
	d.put(small, c, false)
	if d.canOpen(key, 5000) {
		t.Error("it is not written yet")
	}
	d.write()
	same := func(d *disk) bool {
		f := d.open(key)
		if f == nil {
			return false
		}
		defer f.Close()
		got, err := io.ReadAll(f)
		return err == nil && bytes.Equal(got, b)
	}
	if !d.canOpen(key, 5000) || !same(d) {
		t.Error("what was just written is not vouched for")
	}
	if d.canOpen(small, 500) || d.open(small) != nil {
		t.Error("what memory holds is vouched for")
	}
	again := newDisk(t, dir, 1<<30)
	if again.canOpen(key, 5000) || same(again) {
		t.Error("after a restart nobody has looked at it")
	}
	if again.load(key, 5000, true) == nil || !again.canOpen(key, 5000) || !same(again) {
		t.Error("it was looked at")
	}
	// A file that was not used for long is made young, which changes it too.
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(again.path(key), old, old); err != nil {
		t.Fatal(err)
	}
	if same(again) {
		t.Error("somebody else changed it")
	}
	again.load(key, 5000, true)
	again.now = func() time.Time { return time.Now().Add(2 * touchAfter) }
	if first, then := same(again), same(again); !first || !then {
		t.Error("being made young makes it suspect")
	}
	if info, err := os.Stat(again.path(key)); err != nil || info.ModTime().Before(time.Now().Add(touchAfter)) {
		t.Errorf("it is not young: %v, %v", info.ModTime(), err)
	}
	// Replaced by the same bytes, it is another file.
	write(t, again.path(key)+"x", b)
	if err := os.Rename(again.path(key)+"x", again.path(key)); err != nil {
		t.Fatal(err)
	}
	if same(again) {
		t.Error("nobody has looked at what took its place")
	}
}

func TestDiskIsBounded(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(t, dir, 1<<30)
	const files, size = 1000, 10_000 // of which each takes three blocks
	for n := range files {
		key, b := chunkOf("a", n, size)
		d.put(key, b, false)
		d.write()
		at := time.Now().Add(time.Duration(n-files) * time.Minute)
		if err := os.Chtimes(d.path(key), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if s := d.stats(); s.entries != files || s.cost != files*12288 {
		t.Fatalf("%+v", s)
	}
	// What a crash left behind, and what is not ours.
	folder := filepath.Dir(d.path(first(chunkOf("a", 0, size))))
	for name, age := range map[string]time.Duration{"crash.tmp": 2 * sweepEvery, "busy.tmp": 0, "README": 1000 * time.Hour} {
		write(t, filepath.Join(folder, name), []byte("x"))
		at := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(folder, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	// After a restart the files are counted before anything leaves.
	d = newDisk(t, dir, files*12288/2)
	for n := range diskFolders {
		d.count(n)
	}
	if s := d.stats(); s.entries != files || s.cost != files*12288 {
		t.Fatalf("counted: %+v", s)
	}
	d.shrink()
	left := 0
	young := 0
	for n := range files {
		if key, _ := chunkOf("a", n, size); d.has(key, size) {
			if left++; n >= files*3/4 {
				young++
			}
		}
	}
	s := d.stats()
	if s.cost > files*12288/2 || s.cost < files*12288*45/100 || left != s.entries || s.evictions != uint64(files-left) {
		t.Errorf("%d are left: %+v", left, s)
	}
	if young < files/4*9/10 {
		t.Errorf("of the youngest quarter %d are left", young)
	}
	for name, want := range map[string]bool{"crash.tmp": false, "busy.tmp": true, "README": true} {
		if _, err := os.Stat(filepath.Join(folder, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Files that somebody removed do not count for ever.
	if err := os.RemoveAll(d.dir); err != nil {
		t.Fatal(err)
	}
	d.max.Store(1)
	d.shrink()
	if s := d.stats(); s.entries != 0 || s.cost != 0 {
		t.Errorf("nothing is there: %+v", s)
	}
}

func first(key chunkKey, _ []byte) chunkKey { return key }

func TestDiskIsTurnedOffAndOn(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(t, dir, 0)
	key, b := chunkOf("a", 1, 100)
	d.put(key, b, true)
	d.write()
	if d.has(key, 100) || d.load(key, 100, true) != nil || d.open(key) != nil {
		t.Error("it is used though it is off")
	}
	if _, err := os.Stat(d.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
	d.resize(1 << 20)
	d.put(key, b, true)
	d.write()
	if !d.has(key, 100) {
		t.Error("it is not used though it is on")
	}
	d.resize(-1)
	if d.has(key, 100) || d.load(key, 100, true) != nil {
		t.Error("it is used though it is off")
	}
	if _, err := os.Stat(d.path(key)); err != nil {
		t.Errorf("what was there when it was turned off: %v", err)
	}
	none := newDisk(t, "", 1<<30)
	none.put(key, b, true)
	none.run(context.Background()) // returns at once
	if none.has(key, 100) {
		t.Error("it is kept nowhere")
	}
}

func TestWhatWaitsForTheDiskIsBounded(t *testing.T) {
	d := newDisk(t, t.TempDir(), 1<<30)
	for n := range 40 {
		key, b := chunkOf("a", n, site.ChunkSize)
		d.put(key, b, true)
		if n == 0 {
			d.put(key, b, true) // waits already
		}
	}
	if got := count(d.metrics.diskDropped); got != 9 || d.pendingBytes > maxPendingBytes+chunkOverhead {
		t.Errorf("%d were dropped, %d bytes wait", got, d.pendingBytes)
	}
	d.write()
	if d.pendingBytes != 0 || len(d.pending) != 0 || d.stats().entries != 31 {
		t.Errorf("%d bytes wait, %+v", d.pendingBytes, d.stats())
	}
}

// TestADiskThatFailsHarmsNothing has something stand in the place of the
// directory, and goes away.
func TestADiskThatFailsHarmsNothing(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	now := time.Now()
	d := openDisk(dir, 1<<30, slog.New(slog.NewTextHandler(&log, nil)), newMetrics(nil), func() time.Time { return now })
	write(t, d.dir, []byte("not a directory"))
	for n := range 10 {
		key, b := chunkOf("a", n, 100)
		if d.load(key, 100, false) != nil || d.open(key) != nil || d.has(key, 100) {
			t.Fatal("it found something")
		}
		d.put(key, b, false)
		d.write()
	}
	d.count(0)
	d.shrink()
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "contents of files can't be kept on disk") || !strings.Contains(log.String(), d.dir) {
		t.Errorf("%d lines:\n%s", lines, log.String())
	}
	if !d.failing.Load() || count(d.metrics.diskErrors) == 0 || count(d.metrics.diskDropped) == 0 {
		t.Errorf("failing %v, %d errors, %d dropped", d.failing.Load(), count(d.metrics.diskErrors), count(d.metrics.diskDropped))
	}
	if err := os.Remove(d.dir); err != nil {
		t.Fatal(err)
	}
	key, b := chunkOf("a", 1, 100)
	d.put(key, b, false)
	d.write()
	if d.has(key, 100) {
		t.Error("it does not pause")
	}
	now = now.Add(diskPause)
	d.put(key, b, false)
	d.write()
	if !d.has(key, 100) || d.failing.Load() || strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), "on disk again") {
		t.Errorf("it does not begin again: failing %v\n%s", d.failing.Load(), log.String())
	}
}

// TestTwoEdgesShareADirectory writes, reads and removes from both sides at
// once. Whatever is found is right.
func TestTwoEdgesShareADirectory(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	var running, asking sync.WaitGroup
	disks := []*disk{newDisk(t, dir, 1<<20), newDisk(t, dir, 2<<20)}
	for _, d := range disks {
		running.Go(func() { d.run(ctx) })
		for worker := range 2 {
			asking.Go(func() {
				for n := range 600 {
					key, want := chunkOf("a", n, 4000+n)
					if got := d.load(key, int64(len(want)), n%2 == 0); got != nil && !bytes.Equal(got, want) {
						t.Errorf("chunk %d is wrong", n)
					}
					if f := d.open(key); f != nil {
						if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
							t.Errorf("the file of chunk %d is wrong: %v", n, err)
						}
						f.Close()
					}
					if worker == 0 {
						d.put(key, want, n%2 == 0)
					}
				}
			})
		}
	}
	asking.Wait()
	stop()
	running.Wait()
	found := 0
	for n := range 600 {
		key, want := chunkOf("a", n, 4000+n)
		if got := disks[0].load(key, int64(len(want)), false); got != nil {
			found++
		}
	}
	if found == 0 {
		t.Error("nothing is there")
	}
	for _, d := range disks {
		if n := count(d.metrics.diskErrors) + count(d.metrics.diskCorrupt); n != 0 {
			t.Errorf("%d errors", n)
		}
	}
}

// BenchmarkDiskCount takes stock of a million files, as an edge does in the
// background after a start.
func BenchmarkDiskCount(b *testing.B) {
	const files = 1_000_000
	d := newDisk(b, b.TempDir(), 1<<40)
	for n := range files {
		key := chunkKey{project: projectSalt("a"), hash: site.HashOf([]byte(fmt.Sprint(n)))}
		path := d.path(key)
		if n < 10*diskFolders {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for n := range diskFolders {
			d.count(n)
		}
	}
	if s := d.stats(); s.entries != files {
		b.Errorf("%+v", s)
	}
}
