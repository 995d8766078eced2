package edge_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// reel is a bucket that also has a film: a blob that is made while it is read,
// and whose reads are counted, and held up if a test wants that.
type reel struct {
	*bucket
	size  int64
	entry site.BlobEntry

	mu     sync.Mutex
	reads  []span             // of the film, as they were begun
	bytes  map[int64]int64    // that were read, by chunk
	gate   func(offset int64) // called before the bytes of a chunk are delivered
	broken bool               // no read of the film succeeds
}

type span struct{ offset, length int64 }

// scene returns the n-th chunk of a film.
func scene(size int64, n int64) []byte {
	b := make([]byte, min(size-n*site.ChunkSize, site.ChunkSize))
	for i := 0; i+8 <= len(b); i += 4096 {
		binary.LittleEndian.PutUint64(b[i:], uint64(n)<<32|uint64(i)|1)
	}
	return b
}

func newReel(t testing.TB, size int64) *reel {
	t.Helper()
	r := &reel{bucket: newBucket(t), size: size, bytes: map[int64]int64{}, entry: site.BlobEntry{Size: size}}
	whole := sha256.New()
	for n := int64(0); n*site.ChunkSize < size; n++ {
		b := scene(size, n)
		whole.Write(b)
		r.entry.Chunks = append(r.entry.Chunks, site.HashOf(b))
	}
	r.entry.SHA256 = site.Hash(whole.Sum(nil))
	m, err := site.NewManifest(site.Meta{}, []site.FileEntry{
		{Path: "/film.mp4", ContentType: "video/mp4", Body: r.entry},
		{Path: "/index.html", ContentType: site.ContentType("/index.html"), Body: r.blob("home")},
	})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r.put(site.ManifestKey(projectID, "d1"), encoded)
	r.project(site.Project{})
	r.route(site.Route{Deployment: "d1"})
	return r
}

func (r *reel) Get(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error) {
	if key != site.BlobKey(projectID, r.entry.SHA256) {
		return r.bucket.Get(ctx, key, opts)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return nil, errAway
	}
	length := min(opts.Length, r.size-opts.Offset)
	r.reads = append(r.reads, span{opts.Offset, length})
	return &blob.Object{Info: blob.Info{Key: key, Size: r.size}, Body: &projector{r: r, ctx: ctx, at: opts.Offset, end: opts.Offset + length}}, nil
}

// breaksFilm makes reads of the film fail that begin from now on.
func (r *reel) breaksFilm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = true
}

func (r *reel) begun() []span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]span(nil), r.reads...)
}

// total returns how many bytes of the film were read.
func (r *reel) total() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, bytes := range r.bytes {
		n += bytes
	}
	return n
}

// projector is the body of one read of a film.
type projector struct {
	r       *reel
	ctx     context.Context
	at, end int64
	chunk   []byte
}

func (p *projector) Read(b []byte) (int, error) {
	if p.at == p.end {
		return 0, io.EOF
	}
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, within := p.at/site.ChunkSize, p.at%site.ChunkSize
	if p.chunk == nil || within == 0 {
		if p.r.gate != nil {
			p.r.gate(p.at)
		}
		p.chunk = scene(p.r.size, n)
	}
	c := copy(b[:min(int64(len(b)), p.end-p.at)], p.chunk[within:])
	p.at += int64(c)
	p.r.mu.Lock()
	p.r.bytes[n] += int64(c)
	p.r.mu.Unlock()
	return c, nil
}

func (p *projector) Close() error { return nil }

// viewer is a ResponseWriter that compares what it is sent with the film, and
// keeps nothing.
type viewer struct {
	header http.Header
	status int
	size   int64
	at     int64
	wrong  bool
	files  int               // parts that came as a file
	pause  func(seen int64)  // before it takes more
	stop   func(int64) error // the client is gone
	glance bool              // look at the beginning of each chunk only
}

func (v *viewer) Header() http.Header    { return v.header }
func (v *viewer) WriteHeader(status int) { v.status = status }

func (v *viewer) Write(p []byte) (int, error) {
	if v.pause != nil {
		v.pause(v.at)
	}
	if v.stop != nil {
		if err := v.stop(v.at); err != nil {
			return 0, err
		}
	}
	for rest := p; len(rest) > 0; {
		n, within := v.at/site.ChunkSize, v.at%site.ChunkSize
		c := int(min(int64(len(rest)), site.ChunkSize-within, v.size-v.at))
		switch {
		case c == 0:
			v.wrong = true
			return len(p), nil
		case !v.glance:
			v.wrong = v.wrong || !bytes.Equal(rest[:c], scene(v.size, n)[within:within+int64(c)])
		case within == 0:
			v.wrong = v.wrong || binary.LittleEndian.Uint64(rest) != uint64(n)<<32|1
		}
		rest, v.at = rest[c:], v.at+int64(c)
	}
	return len(p), nil
}

func (v *viewer) ReadFrom(src io.Reader) (int64, error) {
	part := src
	if limited, ok := src.(*io.LimitedReader); ok {
		part = limited.R
	}
	if _, ok := part.(*os.File); ok { // what net takes within the kernel
		v.files++
	}
	return io.Copy(struct{ io.Writer }{v}, src)
}

// watch asks for the film, or a range of it from v.at on, and returns why that
// ended.
func watch(e *edge.Edge, v *viewer, ranges string) error {
	v.header = http.Header{}
	ctx := context.Background()
	a := e.Answer(ctx, &edge.Request{Method: http.MethodGet, Host: hostName, Path: "/film.mp4", Range: ranges})
	return a.Write(ctx, v)
}

// TestASequentialReaderCausesFewReads counts what the bucket is asked for.
func TestASequentialReaderCausesFewReads(t *testing.T) {
	const size = 20*site.ChunkSize + 777
	r := newReel(t, size)
	e := newEdge(t, r)
	v := &viewer{size: size}
	if err := watch(e, v, ""); err != nil || v.status != 200 || v.wrong || v.at != size {
		t.Fatalf("%d, %v, wrong %v, %d of %d bytes", v.status, err, v.wrong, v.at, size)
	}
	reads := r.begun()
	if len(reads) != 3 || reads[0] != (span{0, 8 * site.ChunkSize}) || reads[1] != (span{8 * site.ChunkSize, 8 * site.ChunkSize}) || reads[2] != (span{16 * site.ChunkSize, 4*site.ChunkSize + 777}) {
		t.Errorf("the bucket was read at %v", reads)
	}
	for n, got := range r.bytes {
		if want := int64(len(scene(size, n))); got != want {
			t.Errorf("of chunk %d %d bytes were read, want %d", n, got, want)
		}
	}
}

// TestARangeReadsNoMoreThanItNeeds seeks.
func TestARangeReadsNoMoreThanItNeeds(t *testing.T) {
	const size = 20 * site.ChunkSize
	r := newReel(t, size)
	e := newEdge(t, r)
	for _, tt := range []struct {
		ranges   string
		from, to int64
		want     []span
	}{
		{"bytes=5242880-5242889", 5 << 20, 5<<20 + 10, []span{{5 << 20, 1 << 20}}},
		{"bytes=5242880-5242889", 5 << 20, 5<<20 + 10, nil}, // it is here
		{"bytes=10485759-11534336", 10<<20 - 1, 11<<20 + 1, []span{{9 << 20, 3 << 20}}},
		{"bytes=7340032-8388608", 7 << 20, 8<<20 + 1, []span{{7 << 20, 2 << 20}}},
		{"bytes=4194304-7340031", 4 << 20, 7 << 20, []span{{4 << 20, 1 << 20}, {6 << 20, 1 << 20}}}, // around what is here
	} {
		before := len(r.begun())
		v := &viewer{size: size, at: tt.from}
		if err := watch(e, v, tt.ranges); err != nil || v.status != 206 || v.wrong || v.at != tt.to {
			t.Errorf("%s: %d, %v, wrong %v, up to %d", tt.ranges, v.status, err, v.wrong, v.at)
		}
		got := r.begun()[before:]
		if len(got) != len(tt.want) {
			t.Errorf("%s: the bucket was read at %v, want %v", tt.ranges, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: the bucket was read at %v, want %v", tt.ranges, got, tt.want)
			}
		}
	}
}

// TestChunksGoOutAsTheyArrive lets the bucket deliver one chunk, and the next
// only when that one has reached the client.
func TestChunksGoOutAsTheyArrive(t *testing.T) {
	const size = 6 * site.ChunkSize
	r := newReel(t, size)
	seen := make(chan int64, 16)
	r.gate = func(offset int64) {
		for got := int64(0); offset > 0 && got < offset; {
			got = <-seen
		}
	}
	e := newEdge(t, r)
	v := &viewer{size: size}
	v.header = http.Header{}
	ctx := context.Background()
	a := e.Answer(ctx, &edge.Request{Method: http.MethodGet, Host: hostName, Path: "/film.mp4"})
	if err := a.Write(ctx, &teller{viewer: v, seen: seen}); err != nil || v.wrong || v.at != size {
		t.Fatalf("%v, wrong %v, %d of %d bytes", err, v.wrong, v.at, size)
	}
	if reads := r.begun(); len(reads) != 1 {
		t.Errorf("the bucket was read at %v", reads)
	}
}

// teller tells how much a viewer has seen.
type teller struct {
	*viewer
	seen chan int64
}

func (t *teller) Write(p []byte) (int, error) {
	n, err := t.viewer.Write(p)
	t.seen <- t.at
	return n, err
}

func TestAThousandClientsReadEveryByteOnce(t *testing.T) {
	const clients, size = 1000, 50 << 20
	r := newReel(t, size)
	reached, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.gate = func(int64) {
		once.Do(func() { close(reached) })
		<-release
	}
	e := newEdge(t, r, func(c *edge.Config) { c.Sizes.ChunkBytes = 1 << 30 })
	errGone := errors.New("the client is gone")
	first := make(chan error, 1)
	go func() { // starts the fill, and leaves after the first chunk
		first <- watch(e, &viewer{size: size, stop: func(at int64) error {
			if at > 0 {
				return errGone
			}
			return nil
		}}, "")
	}()
	<-reached
	var served, asked atomic.Int64
	var fast, slow sync.WaitGroup
	ask := func(group *sync.WaitGroup, glance bool, pause func(int64)) {
		group.Go(func() {
			asked.Add(1)
			v := &viewer{size: size, glance: glance, pause: pause}
			if err := watch(e, v, ""); err == nil && !v.wrong && v.at == size {
				served.Add(1)
			}
		})
	}
	gone := make(chan struct{})
	ask(&slow, false, func(seen int64) { // takes a chunk, and no more until all others are served
		if seen == site.ChunkSize {
			<-gone
		}
	})
	for n := range clients - 1 {
		ask(&fast, n > 0, nil)
	}
	eventually(t, "all have asked", func() bool { return asked.Load() == clients })
	close(release)
	if err := <-first; !errors.Is(err, errGone) {
		t.Errorf("the first client: %v", err)
	}
	fast.Wait()
	close(gone)
	slow.Wait()
	if served.Load() != clients {
		t.Errorf("%d of %d were served", served.Load(), clients)
	}
	if total := r.total(); total != size {
		t.Errorf("%d bytes were read from the bucket for %d", total, size)
	}
	if n := counterOf(t, e, "mini_vercel_edge_coalesced_total", ""); n == 0 {
		t.Error("nobody waited for another's fill")
	}
}

// TestASlowClientHoldsNobodyBack has one client stop in the middle of a film
// until another has seen it all and memory has lost it. What the slow one still
// needs comes from disk, or else from the bucket once more.
func TestASlowClientHoldsNobodyBack(t *testing.T) {
	const size = 30 << 20
	for _, tt := range []struct {
		name, stateDir string
		most           int64 // bytes from the bucket
	}{{"with a disk", t.TempDir(), size}, {"without", "", 2*size + 6<<20}} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReel(t, size)
			e := newEdge(t, r, func(c *edge.Config) {
				c.StateDir = tt.stateDir
				c.Sizes.ChunkBytes = 32 << 20 // of which four pass through
			})
			stopped, resume := make(chan struct{}), make(chan struct{})
			slow := &viewer{size: size, pause: func(seen int64) {
				if seen == 2<<20 {
					close(stopped)
					<-resume
				}
			}}
			done := make(chan error, 1)
			go func() { done <- watch(e, slow, "") }()
			<-stopped
			fast := &viewer{size: size, pause: func(seen int64) { // not faster than the disk
				if tt.stateDir != "" {
					eventually(t, "what was seen is on disk", func() bool {
						return counterOf(t, e, "mini_vercel_edge_cache_entries", "disk") >= float64(seen>>20)
					})
				}
			}}
			if err := watch(e, fast, ""); err != nil || fast.wrong || fast.at != size {
				t.Fatalf("the fast one: %v, wrong %v, %d bytes", err, fast.wrong, fast.at)
			}
			if n := counterOf(t, e, "mini_vercel_edge_cache_bytes", "large"); n > 4<<20 {
				t.Errorf("%v bytes of the film are in memory", n)
			}
			close(resume)
			if err := <-done; err != nil || slow.wrong || slow.at != size {
				t.Errorf("the slow one: %v, wrong %v, %d bytes", err, slow.wrong, slow.at)
			}
			if got := r.total(); got < size || got > tt.most {
				t.Errorf("%d bytes were read from the bucket, want at most %d", got, tt.most)
			}
		})
	}
}

// TestAFilmPlaysInLittleMemory plays 500 MiB, and seeks, and measures how much
// memory is in use at the most.
func TestAFilmPlaysInLittleMemory(t *testing.T) {
	const size = 500 << 20
	// What passes through memory, what waits for the disk, and what is being read
	// and sent.
	const memory, bound = 128 << 20, 16<<20 + 32<<20 + 16<<20
	for name, stateDir := range map[string]string{"with a disk": t.TempDir(), "without": ""} {
		t.Run(name, func(t *testing.T) {
			r := newReel(t, size)
			e := newEdge(t, r, func(c *edge.Config) {
				c.StateDir = stateDir
				c.Sizes = edge.Sizes{ChunkBytes: memory, DiskBytes: 64 << 20}
			})
			var now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&now)
			before, most := now.HeapAlloc, uint64(0)
			v := &viewer{size: size, pause: func(seen int64) {
				if seen%(32<<20) == 0 {
					runtime.GC()
					runtime.ReadMemStats(&now)
					most = max(most, now.HeapAlloc)
				}
			}}
			if err := watch(e, v, ""); err != nil || v.wrong || v.at != size {
				t.Fatalf("%v, wrong %v, %d of %d bytes", err, v.wrong, v.at, size)
			}
			for _, at := range []int64{400 << 20, 3, 250<<20 + 5, size - 1} { // seeks
				end := min(at+3<<20, size-1)
				v := &viewer{size: size, at: at}
				if err := watch(e, v, fmt.Sprintf("bytes=%d-%d", at, end)); err != nil || v.wrong || v.status != 206 || v.at != end+1 {
					t.Errorf("from %d: %d, %v, wrong %v, up to %d", at, v.status, err, v.wrong, v.at)
				}
			}
			grown := int64(most) - int64(before)
			t.Logf("the heap grew by %d MiB", grown>>20)
			if grown > bound {
				t.Errorf("that is more than %d MiB", bound>>20)
			}
		})
	}
}

// TestAFileOfEqualChunks has the same key for all of them.
func TestAFileOfEqualChunks(t *testing.T) {
	body := strings.Repeat("0", 5*site.ChunkSize)
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/zeros.bin": body}))
	c := newClient(t, newEdge(t, b))
	if got := c.get("/zeros.bin"); got.err != nil || got.body != body {
		t.Errorf("%v, %d bytes", got.err, len(got.body))
	}
	if n := b.reads(site.BlobKey(projectID, site.HashOf([]byte(body)))); n != 1 {
		t.Errorf("the bucket was read %d times", n)
	}
}

// TestALargeFileIsSentFromDisk restarts an edge that has a film on disk: every
// chunk is verified once more before its first byte leaves, and then sent as a
// file.
func TestALargeFileIsSentFromDisk(t *testing.T) {
	const size = 12 << 20
	r, dir := newReel(t, size), t.TempDir()
	small := func(c *edge.Config) { c.StateDir = dir; c.Sizes.ChunkBytes = 16 << 20 } // half a chunk may pass
	e := newEdge(t, r, small)
	if v := (&viewer{size: size}); watch(e, v, "") != nil || v.wrong || v.at != size {
		t.Fatal("the first time")
	}
	e.Close()
	r.breaksFilm()
	r.breaks(away)

	e = newEdge(t, r, small)
	for round, files := range []int{0, 10} { // the newest pass through memory
		v := &viewer{size: size}
		if err := watch(e, v, ""); err != nil || v.wrong || v.at != size || v.files < files || v.files > 12 {
			t.Errorf("round %d: %v, wrong %v, %d bytes, %d files", round, err, v.wrong, v.at, v.files)
		}
	}
	v := &viewer{size: size, at: 3<<20 + 5}
	if err := watch(e, v, "bytes=3145733-5242890"); err != nil || v.wrong || v.at != 5242891 || v.files != 3 || v.header.Get("Server-Timing") != "edge;desc=stale" {
		t.Errorf("a range: %v, wrong %v, up to %d, %d files, %v", err, v.wrong, v.at, v.files, v.header)
	}

	// Somebody writes to a file that was verified.
	path := chunkFile(t, dir, r.entry.Chunks[4])
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("lie"), 1000); err != nil {
		t.Fatal(err)
	}
	f.Close()
	v = &viewer{size: size, at: 3 << 20}
	if err := watch(e, v, "bytes=3145728-6291455"); !errors.Is(err, edge.ErrCut) || v.wrong || v.at != 4<<20 {
		t.Errorf("with a lie on disk and no bucket: %v, wrong %v, up to %d", err, v.wrong, v.at)
	}
	if n := counterOf(t, e, "mini_vercel_edge_disk_corrupt_total", ""); n != 1 {
		t.Errorf("%v corrupt files", n)
	}
}

// chunkFile returns the file of a chunk in a state directory.
func chunkFile(t *testing.T, stateDir string, hash site.Hash) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(stateDir, "chunks", hash.String()[:2], hash.String()+"-*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("files of %s: %v, %v", hash, names, err)
	}
	return names[0]
}

// counterOf returns what a counter or gauge of an edge says, for a value of its
// label.
func counterOf(t *testing.T, e *edge.Edge, name, label string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range e.Metrics().Collectors() {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no %s of %q", name, label)
	return 0
}
