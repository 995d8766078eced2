package controlplane_test

import (
	"fmt"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestFolderBecomesLiveSite(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("My Site!")
	if project.SubDomain != "my-site" {
		t.Fatalf("subdomain is %q", project.SubDomain)
	}
	d := p.deployFiles(project.ID, "", map[string]string{"/index.html": "<h1>one</h1>", "/a.html": "a"})
	if d.Status != controlplane.StatusReady || d.LiveAt == nil || !d.InProduction || d.Environment != site.Production || d.UploadedBlobs != 2 || d.Files != 2 {
		t.Fatalf("deployment: %+v", d)
	}
	if d.URL != "http://my-site.example.test" || d.DeploymentURL != "http://"+d.HostID+"--my-site.example.test" {
		t.Fatalf("addresses: %s %s", d.URL, d.DeploymentURL)
	}
	production, own := p.route("my-site.example.test"), p.route(d.HostID+"--my-site.example.test")
	if production.Deployment != d.ID || production.Environment != site.Production || own.Deployment != d.ID || own.Environment != site.Preview {
		t.Fatalf("routes: %+v %+v", production, own)
	}
	var record site.Project
	if !p.read(site.ProjectKey(project.ID), &record) || record.State != site.ProjectActive || record.Generation == 0 {
		t.Fatalf("record: %+v", record)
	}
	var head site.Head
	p.read(site.HeadKey, &head)
	floors := map[string]int64{}
	for _, c := range head.Changes {
		floors[c.Host+c.Project] = c.Generation
	}
	if floors["my-site.example.test"] != production.Generation || floors[project.ID] != record.Generation {
		t.Fatalf("change log %+v, routes %+v %+v", head, production, own)
	}

	again := p.deployFiles(project.ID, site.Production, map[string]string{"/index.html": "<h1>two</h1>", "/a.html": "a"})
	if again.UploadedBlobs != 1 {
		t.Fatalf("a redeploy of one file uploaded %d blobs", again.UploadedBlobs)
	}
	production = p.route("my-site.example.test")
	if production.Deployment != again.ID || len(production.Previous) != 1 || production.Previous[0].Deployment != d.ID {
		t.Fatalf("production is %+v", production)
	}
}

func TestUploadPagesAdvance(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("many")
	files := map[string]string{}
	for i := range 2500 {
		files[fmt.Sprintf("/f%d.html", i)] = fmt.Sprint("page ", i)
	}
	d := p.deployFiles(project.ID, "", files)
	if d.UploadedBlobs != 2500 || d.Files != 2500 {
		t.Fatalf("uploaded %d blobs of %d files", d.UploadedBlobs, d.Files)
	}
}
