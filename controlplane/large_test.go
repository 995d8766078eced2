package controlplane_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// serverTime measures what a deployment costs the control plane itself: every
// call of the protocol, without the PUTs of the blobs.
func (p *plane) serverTime(project string, m *site.Manifest, put func(site.Upload)) (took time.Duration, uploaded int) {
	p.t.Helper()
	ctx, a := p.t.Context(), actor(p.me)
	encoded, err := m.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	timed := func(f func() error) {
		p.t.Helper()
		begun := time.Now()
		err := f()
		took += time.Since(begun)
		if err != nil {
			p.t.Fatal(err)
		}
	}
	var d *controlplane.Deployment
	timed(func() (err error) {
		d, _, err = p.CreateDeployment(ctx, p.me, controlplane.UploadInput{ProjectID: project, Kind: controlplane.KindFiles})
		return err
	})
	hashes := make([]site.Hash, 0, m.Len())
	for f := range m.Files() {
		hashes = append(hashes, f.Blob(site.Identity).SHA256())
	}
	for len(hashes) > 0 {
		n := min(len(hashes), site.MaxKnownHashes)
		timed(func() error {
			_, err := p.KnownBlobs(ctx, a, project, hashes[:n])
			return err
		})
		hashes = hashes[n:]
	}
	timed(func() error { _, err := p.PutManifest(ctx, a, d.ID, encoded); return err })
	for {
		var next *site.UploadsResponse
		timed(func() (err error) {
			next, err = p.Uploads(ctx, a, d.ID)
			return err
		})
		if len(next.Uploads) == 0 {
			break
		}
		for _, u := range next.Uploads {
			put(u)
			uploaded++
		}
	}
	timed(func() error {
		_, err := p.Publish(ctx, a, d.ID)
		return err
	})
	return took, uploaded
}

func manyFiles(t testing.TB, count int, changed bool) (*site.Manifest, map[site.Hash]string) {
	t.Helper()
	byHash := map[site.Hash]string{}
	blobOf := func(text string) site.BlobEntry {
		h := site.HashOf([]byte(text))
		byHash[h] = text
		return site.BlobEntry{SHA256: h, Size: int64(len(text))}
	}
	entries := make([]site.FileEntry, count)
	for i := range entries {
		text := fmt.Sprint("file ", i)
		if changed && i == count/2 {
			text += " changed"
		}
		e := site.FileEntry{Path: fmt.Sprintf("/d%d/f%d.html", i%100, i), ContentType: "text/html", Immutable: i%2 == 0, Body: blobOf(text)}
		for v := range e.Variants {
			b := blobOf(fmt.Sprint(text, " in ", v))
			e.Variants[v] = &b
		}
		entries[i] = e
	}
	m, err := site.NewManifest(site.Meta{}, entries)
	if err != nil {
		t.Fatal(err)
	}
	return m, byHash
}

// TestRedeployAsksTheBucketLittle keeps what a deployment costs the bucket
// independent of how many pages of uploads it takes.
func TestRedeployAsksTheBucketLittle(t *testing.T) {
	counted := &faultyBucket{after: -1}
	p := newPlane(t, func(p *plane) { counted.Store = p.raw; p.bucket = counted }).start()
	project := p.project("many").ID
	calls := func(verb string) (n int) {
		counted.mu.Lock()
		defer counted.mu.Unlock()
		for _, c := range counted.calls {
			if strings.HasPrefix(c, verb+" "+site.ProjectPrefix(project)) {
				n++
			}
		}
		return n
	}
	for _, row := range []struct {
		changed  bool
		uploaded int
		most     map[string]int // calls
	}{
		{false, 4 * 1500, map[string]int{"list": 3, "stat": 0, "get": 1, "put": 2}},
		{true, 4, map[string]int{"list": 2, "stat": 4, "get": 1, "put": 1}},
	} {
		m, texts := manyFiles(t, 1500, row.changed)
		counted.mu.Lock()
		counted.calls = nil
		counted.mu.Unlock()
		took, uploaded := p.serverTime(project, m, func(u site.Upload) { p.write(site.BlobKey(project, u.SHA256), texts[u.SHA256]) })
		t.Logf("changed %v: the server took %s", row.changed, took)
		if uploaded != row.uploaded {
			t.Errorf("changed %v: uploaded %d blobs, want %d", row.changed, uploaded, row.uploaded)
		}
		for verb, most := range row.most {
			if n := calls(verb); n > most {
				t.Errorf("changed %v: %d calls of %s, at most %d are needed", row.changed, n, verb, most)
			}
		}
	}
}

// BenchmarkRedeploy is the control plane's part of a redeploy of 10,000 files,
// with three variants each, of which one file changed.
func BenchmarkRedeploy(b *testing.B) {
	p := newPlane(b).start()
	project := p.project("many").ID
	m, texts := manyFiles(b, 10_000, false)
	put := func(u site.Upload) { p.write(site.BlobKey(project, u.SHA256), texts[u.SHA256]) }
	p.serverTime(project, m, put)
	m, texts = manyFiles(b, 10_000, true)
	took := time.Duration(0)
	for b.Loop() {
		t, _ := p.serverTime(project, m, put)
		took += t
	}
	b.ReportMetric(took.Seconds()*1000/float64(b.N), "server-ms/op")
}
