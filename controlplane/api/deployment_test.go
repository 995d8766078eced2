package api_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestAFolderGoesThroughTheUploadProtocol(t *testing.T) {
	p := newPlane(t)
	owner := p.owner().withScope("deploy")
	project := owner.project("folder")
	d := owner.deployFolder(project.ID, "<h1>one</h1>")
	if d.Files != 1 || d.UploadedBlobs != 1 || d.URL == "" || d.Environment != site.Production {
		t.Fatalf("%+v", d)
	}
	owner.do("POST", "/deployments/"+d.ID+"/publish", nil).is(http.StatusOK) // again
	var known site.KnownResponse
	hashes := site.KnownRequest{Hashes: []site.Hash{site.HashOf([]byte("<h1>one</h1>")), site.HashOf([]byte("none"))}}
	owner.do("POST", "/projects/"+project.ID+"/blobs/known", hashes).is(http.StatusOK).into(&known)
	if len(known.Blobs) != 1 || known.Blobs[0].ContentType != "text/html; charset=utf-8" {
		t.Fatalf("%+v", known)
	}
	again := owner.deployFolder(project.ID, "<h1>one</h1>")
	if again.UploadedBlobs != 0 {
		t.Errorf("uploaded %d blobs again", again.UploadedBlobs)
	}
	var files api.Page[controlplane.FileInfo]
	owner.do("GET", "/deployments/"+d.ID+"/files", nil).is(http.StatusOK).into(&files)
	if len(files.Items) != 1 || files.Items[0].Path != "/index.html" {
		t.Errorf("%+v", files)
	}
	owner.do("GET", "/deployments/"+d.ID+"/files?limit=1001", nil).is(http.StatusUnprocessableEntity).field("limit")
	var byHost controlplane.Deployment
	owner.do("GET", "/projects/"+project.SubDomain+"/deployments/"+d.HostID, nil).is(http.StatusOK).into(&byHost)
	if byHost.ID != d.ID {
		t.Errorf("%+v", byHost)
	}
}

func TestKnownBlobsTakesTenThousand(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	path := "/projects/" + owner.project("known").ID + "/blobs/known"
	ask := func(n int) *response {
		return owner.do("POST", path, site.KnownRequest{Hashes: make([]site.Hash, n)})
	}
	if r := ask(10_000).is(http.StatusOK); string(bytes.TrimSpace(r.body)) != `{"blobs":[]}` {
		t.Errorf("%s", r.body)
	}
	ask(10_001).is(http.StatusUnprocessableEntity).field("hashes")
	owner.do("POST", path, `{"hashes": ["abc"]}`).is(http.StatusUnprocessableEntity).field("hashes")
	owner.do("POST", path, `{"hashes": `).is(http.StatusBadRequest)
	owner.do("POST", path, `{"hashes": []}`, "Content-Type", "text/plain").is(http.StatusUnsupportedMediaType)
}

func TestAnArchiveGetsASignedURL(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("archive")
	body := []byte("not really an archive")
	var created api.CreatedDeployment
	owner.do("POST", "/deployments", map[string]any{
		"projectId": project.ID, "kind": "archive", "message": "", "environment": "",
		"archiveSize": len(body), "archiveSHA256": site.HashOf(body).String(),
	}).is(http.StatusCreated).into(&created)
	if created.Upload == nil {
		t.Fatalf("%+v", created)
	}
	put := func(body []byte) *response {
		req := p.anonymous().request(created.Upload.Method, created.Upload.URL, body)
		for name, value := range created.Upload.Headers {
			req.Header.Set(name, value)
		}
		return p.send(req)
	}
	if r := put([]byte("other bytes, no more!")); r.StatusCode/100 == 2 {
		t.Errorf("other bytes were taken: %d", r.StatusCode)
	}
	owner.do("POST", "/deployments/"+created.Deployment.ID+"/publish", nil).is(http.StatusConflict)
	if r := put(body); r.StatusCode/100 != 2 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	var d controlplane.Deployment
	owner.do("POST", "/deployments/"+created.Deployment.ID+"/publish", nil).is(http.StatusOK).into(&d)
	if d.Status != controlplane.StatusQueued && d.Status != controlplane.StatusInProgress {
		t.Errorf("%+v", d)
	}
	owner.do("POST", "/deployments", map[string]any{"projectId": project.ID, "kind": "git"}).is(http.StatusUnprocessableEntity).field("kind")
	owner.do("POST", "/deployments", map[string]any{"projectId": project.ID, "kind": "archive", "archiveSHA256": "ABC"}).
		is(http.StatusUnprocessableEntity).field("archiveSHA256")
}

func TestAnIdempotencyKeyDeploysOnce(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("once")
	deploy := func(key string) (d controlplane.Deployment) {
		owner.do("POST", "/deploy", map[string]any{"projectId": project.ID, "branch": "main", "environment": "", "message": ""}, "Idempotency-Key", key).
			is(http.StatusAccepted).into(&d)
		return d
	}
	first := deploy("a")
	if second := deploy("a"); second.ID != first.ID {
		t.Error("the same key made two")
	}
	if other := deploy("b"); other.ID == first.ID {
		t.Error("another key made none")
	}
	ids := make([]string, 8)
	var done sync.WaitGroup
	for i := range ids {
		done.Go(func() { ids[i] = deploy("at once").ID })
	}
	done.Wait()
	if slices.ContainsFunc(ids, func(id string) bool { return id != ids[0] }) {
		t.Errorf("one key at once made %v", ids)
	}
	// Keys are each person's own.
	second := p.second(owner)
	theirs := second.project("theirs")
	var d controlplane.Deployment
	second.do("POST", "/deploy", map[string]any{"projectId": theirs.ID}, "Idempotency-Key", "a").is(http.StatusAccepted).into(&d)
	if d.ProjectID != theirs.ID {
		t.Errorf("%+v", d)
	}
	other := owner.project("elsewhere")
	owner.do("POST", "/deploy", map[string]any{"projectId": other.ID}, "Idempotency-Key", "a").is(http.StatusConflict)
	owner.do("POST", "/deploy", map[string]any{"projectId": project.ID}, "Idempotency-Key", strings.Repeat("k", 256)).
		is(http.StatusUnprocessableEntity).field("Idempotency-Key")
}

func TestPromoteAndResume(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("promoted")
	first := owner.deployFolder(project.ID, "<h1>one</h1>")
	var second controlplane.Deployment
	owner.do("POST", "/deployments/"+owner.deployFolder(project.ID, "<h1>two</h1>").ID+"/promote", nil).is(http.StatusOK).into(&second)
	if !second.InProduction {
		t.Fatalf("%+v", second)
	}
	owner.do("POST", "/deployments/"+first.ID+"/promote", map[string]any{"noGrace": true}).is(http.StatusOK)
	var now controlplane.Project
	owner.do("GET", "/projects/"+project.ID, nil).is(http.StatusOK).into(&now)
	if !now.Pinned || now.Production == nil || now.Production.ID != first.ID || now.Latest == nil || now.Latest.ID != second.ID {
		t.Fatalf("%+v", now)
	}
	owner.do("POST", "/projects/"+project.ID+"/resume", nil).is(http.StatusOK).into(&now)
	if now.Pinned {
		t.Errorf("%+v", now)
	}
	queued, _, _ := owner.build(project.ID)
	owner.do("POST", "/deployments/"+queued.ID+"/promote", nil).is(http.StatusConflict)
	owner.do("POST", "/deployments/"+queued.ID+"/cancel", nil).is(http.StatusOK)
	owner.do("POST", "/deployments/"+queued.ID+"/retry", nil).is(http.StatusAccepted)
}

func TestListsPageNewestFirst(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	var want []string
	for _, name := range []string{"one", "two", "three", "four", "five"} {
		want = append([]string{owner.project(name).ID}, want...)
	}
	var got []string
	pages := 0
	for cursor := ""; ; pages++ {
		var page api.Page[controlplane.Project]
		owner.do("GET", "/projects?limit=2&cursor="+cursor, nil).is(http.StatusOK).into(&page)
		for _, project := range page.Items {
			got = append(got, project.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") || pages != 2 {
		t.Errorf("%d pages: %v instead of %v", pages+1, got, want)
	}
	for _, path := range []string{"/deployments", "/projects/" + want[0] + "/deployments", "/tokens", "/projects/" + want[0] + "/env"} {
		if r := owner.do("GET", path, nil).is(http.StatusOK); string(bytes.TrimSpace(r.body)) != `{"items":[]}` {
			t.Errorf("%s: %s", path, r.body)
		}
	}
}

func TestNoAnswerHasANull(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	target, _, _ := newTarget(t, owner)
	p.walk(func(o operation) {
		if o.Path == "/events" || strings.HasSuffix(o.Path, "/stream") || o.ID == "signOut" {
			return
		}
		if r := owner.do(o.Method, o.path(target), o.body(target)); bytes.Contains(r.body, []byte(":null")) {
			t.Errorf("%s: %s", o.ID, r.body)
		}
	})
}
