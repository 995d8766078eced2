package controlplane_test

import (
	"fmt"
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
	timed(func() error { return p.PutManifest(ctx, a, d.ID, encoded) })
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

// TestRedeployOfTenThousandFilesIsCheap keeps the control plane's part of a
// redeploy well below a second, and that of the first one linear.
func TestRedeployOfTenThousandFilesIsCheap(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 40,000 blobs")
	}
	p := newPlane(t).start()
	project := p.project("many").ID
	m, texts := manyFiles(t, 10_000, false)
	put := func(u site.Upload) { p.write(site.BlobKey(project, u.SHA256), texts[u.SHA256]) }
	first, uploaded := p.serverTime(project, m, put)
	t.Logf("first: %s for %d blobs", first, uploaded)
	if uploaded != 40_000 {
		t.Errorf("uploaded %d blobs", uploaded)
	}
	m, texts = manyFiles(t, 10_000, true)
	again, uploaded := p.serverTime(project, m, put)
	t.Logf("again: %s for %d blobs", again, uploaded)
	if uploaded != 4 {
		t.Errorf("a redeploy of one file uploaded %d blobs", uploaded)
	}
	if again > 2*time.Second || first > 10*time.Second {
		t.Errorf("the first took the server %s, the redeploy %s", first, again)
	}
}
