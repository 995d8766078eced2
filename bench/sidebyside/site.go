package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// file is what all servers serve. Its bytes don't compress, and no variants are
// stored: every server sends the very same.
type file struct {
	name     string // for the table
	onDisk   string // in the site's directory, and its path at a file server
	edgePath string // its path at the edge
	mediaType,
	edgeETag string
	body []byte
}

func newFiles() []file {
	var all []file
	for _, f := range []struct {
		name, onDisk, edgePath, mediaType string
		size                              int
	}{
		{"1 KiB", "/small.css", "/small.css", "text/css; charset=utf-8", 1 << 10},
		{"10 KiB", "/page.html", "/page", "text/html; charset=utf-8", 10 << 10},
		{"100 KiB", "/script.js", "/script.js", "text/javascript; charset=utf-8", 100 << 10},
		{"1 MiB", "/image.jpg", "/image.jpg", "image/jpeg", 1 << 20},
	} {
		raw := make([]byte, f.size)
		_, _ = rand.Read(raw) // never fails
		body := []byte(base64.StdEncoding.EncodeToString(raw))[:f.size]
		all = append(all, file{f.name, f.onDisk, f.edgePath, f.mediaType, `"` + site.HashOf(body).String() + `"`, body})
	}
	return all
}

func (b *bench) file(name string) file {
	for _, f := range b.files {
		if f.name == name {
			return f
		}
	}
	panic("no file " + name)
}

// headers are those that the edge sends with a file, for the handlers that send
// what they are told.
func (f file) headers() http.Header {
	return http.Header{
		"Content-Type":           {f.mediaType},
		"Content-Length":         {fmt.Sprint(len(f.body))},
		"X-Content-Type-Options": {"nosniff"},
		"Etag":                   {f.edgeETag},
		"Accept-Ranges":          {"bytes"},
		"Cache-Control":          {"public, max-age=0, must-revalidate"},
		"Server-Timing":          {"edge;desc=memory"},
	}
}

func (b *bench) site() string   { return filepath.Join(b.dir, "site") }
func (b *bench) bucket() string { return filepath.Join(b.dir, "bucket") }

const (
	baseDomain = "bench.test"
	siteHost   = "site." + baseDomain
	manyHosts  = 100_000
	perProject = 100 // hosts of one project
	deployment = "d1"
)

// writeSite writes the files into a directory for the file servers and into a
// bucket for the edge.
func (b *bench) writeSite() error {
	for _, f := range b.files {
		if err := write(filepath.Join(b.site(), f.onDisk), f.body); err != nil {
			return err
		}
	}
	return errors.Join(b.writeProject("site", b.files), b.writeRoute(siteHost, "site"), b.writeHosts())
}

// writeHosts adds the hosts of the scene with many of them.
func (b *bench) writeHosts() error {
	for i := range manyHosts {
		project := fmt.Sprintf("p%d", i/perProject)
		if i%perProject == 0 {
			if err := b.writeProject(project, []file{b.file("10 KiB")}); err != nil {
				return err
			}
		}
		if err := b.writeRoute(hostOf(i), project); err != nil {
			return err
		}
	}
	return nil
}

func hostOf(i int) string { return fmt.Sprintf("h%d.%s", i, baseDomain) }

func (b *bench) writeProject(id string, files []file) error {
	var entries []site.FileEntry
	for _, f := range files {
		blob := site.BlobEntry{SHA256: site.HashOf(f.body), Size: int64(len(f.body))}
		if err := b.writeObject(site.BlobKey(id, blob.SHA256), f.body); err != nil {
			return err
		}
		entries = append(entries, site.FileEntry{Path: f.onDisk, ContentType: f.mediaType, Body: blob})
	}
	m, err := site.NewManifest(site.Meta{}, entries)
	if err != nil {
		return err
	}
	encoded, err := m.Encode()
	if err != nil {
		return err
	}
	record, err := json.Marshal(site.Project{ID: id, Name: id, State: site.ProjectActive, Generation: 1})
	if err != nil {
		return err
	}
	return errors.Join(b.writeObject(site.ManifestKey(id, deployment), encoded), b.writeObject(site.ProjectKey(id), record))
}

func (b *bench) writeRoute(host, project string) error {
	route, err := json.Marshal(site.Route{
		Host: host, Project: project, Deployment: deployment, Environment: site.Production, Generation: 1, PublishedAt: time.Now(),
	})
	if err != nil {
		return err
	}
	return b.writeObject(site.RouteKey(host), route)
}

// writeObject writes where the directory store has its objects, without what
// makes its writes durable: 100,000 of those would take minutes.
func (b *bench) writeObject(key string, body []byte) error {
	return write(filepath.Join(b.bucket(), "objects", key), body)
}

func write(path string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

// same reports whether a server sent the file.
func (f file) same(resp *http.Response, body []byte) error {
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body, f.body) {
		return fmt.Errorf("%s with %d bytes, want %d", resp.Status, len(body), len(f.body))
	}
	return nil
}
