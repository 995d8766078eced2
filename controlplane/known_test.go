package controlplane_test

import (
	"io"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestKnownBlobsTellTypeAndVariants(t *testing.T) {
	p := newPlane(t).start()
	project, other := p.project("repo"), p.project("other")
	blobOf := func(text string) site.BlobEntry {
		return site.BlobEntry{SHA256: site.HashOf([]byte(text)), Size: int64(len(text))}
	}
	compressed := blobOf("compressed")
	entries := []site.FileEntry{
		{Path: "/a.js", ContentType: "text/javascript; charset=utf-8", Body: blobOf("script")},
		{Path: "/b.png", ContentType: "image/png", Body: blobOf("picture")},
	}
	entries[0].Variants[site.Brotli] = &compressed
	m, err := site.NewManifest(site.Meta{}, entries)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[site.Hash]string{}
	for _, text := range []string{"script", "picture", "compressed"} {
		texts[site.HashOf([]byte(text))] = text
	}
	_, uploaded := p.serverTime(project.ID, m, func(u site.Upload) { p.put(u.URL, texts[u.SHA256]) })
	if uploaded != 3 {
		t.Fatalf("uploaded %d blobs", uploaded)
	}
	asked := []site.Hash{site.HashOf([]byte("script")), site.HashOf([]byte("picture")), site.HashOf([]byte("unknown")), site.HashOf([]byte("compressed"))}
	known, err := p.KnownBlobs(t.Context(), actor(p.me), project.ID, asked)
	if err != nil || len(known) != 2 {
		t.Fatalf("%+v %v", known, err)
	}
	for _, k := range known {
		switch texts[k.SHA256] {
		case "script":
			if len(k.Variants) != 1 || k.Variants[0].Encoding != "br" || k.Variants[0].SHA256 != compressed.SHA256 || k.ContentType != entries[0].ContentType {
				t.Errorf("script: %+v", k)
			}
		case "picture":
			if len(k.Variants) != 0 {
				t.Errorf("picture: %+v", k)
			}
		}
	}
	// A hash says nothing about another project, and another's project is none.
	known, err = p.KnownBlobs(t.Context(), actor(p.me), other.ID, asked)
	if err != nil || len(known) != 0 {
		t.Errorf("another project knows %+v, %v", known, err)
	}
	_, err = p.KnownBlobs(t.Context(), actor(controlplane.Principal{UserID: "other", Scope: controlplane.ScopeAdmin, Admin: true}), project.ID, asked)
	wantCode(t, err, controlplane.CodeNotFound)
	_, err = p.KnownBlobs(t.Context(), actor(p.me), project.ID, make([]site.Hash, site.MaxKnownHashes+1))
	wantCode(t, err, controlplane.CodeInvalid)
}

func TestFilesAreListedInPages(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	files := map[string]string{}
	for _, path := range []string{"/a", "/b", "/docs/a", "/docs/b", "/docs/c", "/docsx", "/z"} {
		files[path] = path
	}
	d := p.deployFiles(project.ID, "", files)
	list := func(page controlplane.FilePage) (paths string, next string) {
		t.Helper()
		got, next, err := p.Files(t.Context(), p.me, d.ID, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range got {
			paths += f.Path + " "
			if f.Size != int64(len(f.Path)) || f.SHA256 != site.HashOf([]byte(f.Path)) {
				t.Errorf("%+v", f)
			}
		}
		return paths, next
	}
	if got, next := list(controlplane.FilePage{}); got != "/a /b /docs/a /docs/b /docs/c /docsx /z " || next != "" {
		t.Errorf("all: %s, next %q", got, next)
	}
	if got, next := list(controlplane.FilePage{Prefix: "/docs/", Limit: 2}); got != "/docs/a /docs/b " || next != "/docs/b" {
		t.Errorf("a page: %s, next %q", got, next)
	}
	if got, next := list(controlplane.FilePage{Prefix: "/docs/", After: "/docs/b", Limit: 2}); got != "/docs/c " || next != "" {
		t.Errorf("the next: %s, next %q", got, next)
	}
	if got, _ := list(controlplane.FilePage{Prefix: "/none"}); got != "" {
		t.Errorf("none: %s", got)
	}
}

func TestLostBuildGivesWayToANewerOne(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	first := p.deploy(project.ID, "main")
	b := p.claim(p.next())
	second := p.deploy(project.ID, "main")
	p.runner.exits <- controlplane.BuilderExit{Handle: b.job.AttemptID, Code: -1, Lost: true}
	if d := p.is(first.ID, controlplane.StatusCanceled); !strings.Contains(d.Reason, second.HostID) {
		t.Errorf("reason: %s", d.Reason)
	}
	if next := p.claim(p.next()); next.job.Deployment != second.ID {
		t.Errorf("job: %+v", next.job)
	}
}

func TestDamagedRecordsHoldUpNothing(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	p.deployFiles(project.ID, "", version(1))
	for _, key := range []string{site.RouteKey(productionHost), site.HeadKey} {
		if _, err := p.raw.Put(t.Context(), key, strings.NewReader("{not JSON"), 9, blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	d := p.deployFiles(project.ID, site.Production, version(2))
	if d.LiveAt == nil || p.production() != d.ID {
		t.Errorf("%+v", d)
	}
	var head site.Head
	if p.read(site.HeadKey, &head); head.Seq == 0 {
		t.Errorf("%+v", head)
	}
}

func TestServingIsSetByProjectAndConfig(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	drop := site.HTMLDrop
	if _, err := p.UpdateProject(t.Context(), p.me, project.ID, controlplane.ProjectPatch{HTMLHandling: &drop}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, config string
		html         site.HTMLHandling
		notFound     site.NotFound
	}{
		{"the project's settings", "", site.HTMLDrop, ""},
		{"the file wins", `{"htmlHandling":"none","notFound":"404-page"}`, site.HTMLNone, site.NotFoundPage},
		{"what the file leaves out is the project's", `{"notFound":"none"}`, site.HTMLDrop, site.NotFoundNone},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
			if err != nil {
				t.Fatal(err)
			}
			m := manifestOf(t, page)
			m.Meta = site.Meta{Rules: site.RuleSources{Config: row.config}, HTMLHandling: site.HTMLForce, Source: site.Source{Commit: "forged"}}
			encoded, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.PutManifest(t.Context(), actor(p.me), d.ID, encoded); err != nil {
				t.Fatal(err)
			}
			o, err := p.raw.Get(t.Context(), site.ManifestKey(project.ID, d.ID), blob.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer o.Body.Close()
			if encoded, err = io.ReadAll(o.Body); err != nil {
				t.Fatal(err)
			}
			kept, err := site.DecodeManifest(encoded)
			if err != nil || kept.Meta.HTMLHandling != row.html || kept.Meta.NotFound != row.notFound || kept.Meta.Source.Commit != "" {
				t.Errorf("%+v %v", kept.Meta, err)
			}
		})
	}
}
