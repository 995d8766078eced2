package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// fleet is a bucket that makes up what it is asked for: so many hosts, ten to a
// project, each project with a page of 10 KiB. It can be away.
type fleet struct {
	blob.Store // what an edge never calls

	hosts int
	away  atomic.Bool
}

const (
	hostsPerProject = 10
	pageSize        = 10 << 10
	baseDomain      = "scale.test"
)

var errAway = errors.New("the bucket is away")

func (f *fleet) Identity() string { return "scale" }

func (f *fleet) Get(_ context.Context, key string, opts blob.GetOptions) (*blob.Object, error) {
	if f.away.Load() {
		return nil, errAway
	}
	if opts.IfNoneMatch != "" {
		return nil, blob.ErrNotModified
	}
	body, err := f.object(key)
	if err != nil {
		return nil, err
	}
	size := int64(len(body))
	end := size
	if opts.Length > 0 {
		end = min(opts.Offset+opts.Length, size)
	}
	return &blob.Object{Info: blob.Info{Key: key, Size: size, ETag: "1"}, Body: io.NopCloser(bytes.NewReader(body[min(opts.Offset, end):end]))}, nil
}

func (f *fleet) object(key string) ([]byte, error) {
	if key == site.HeadKey {
		return json.Marshal(site.Head{Seq: 1, Changes: []site.Change{{Host: hostOf(0), Generation: 1}}})
	}
	if host, ok := strings.CutPrefix(key, site.RoutesPrefix); ok {
		label, _, _ := strings.Cut(host, ".")
		n, err := strconv.Atoi(strings.TrimPrefix(label, "h"))
		if err != nil || n >= f.hosts || label[0] != 'h' {
			return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
		}
		return json.Marshal(site.Route{Host: host, Project: projectOf(n), Deployment: "d1", Environment: site.Production, Generation: 1, PublishedAt: time.Unix(0, 0)})
	}
	project, rest, _ := strings.Cut(strings.TrimPrefix(key, site.ProjectsPrefix), "/")
	n, err := strconv.Atoi(strings.TrimPrefix(project, "p"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	switch kind, _, _ := strings.Cut(rest, "/"); kind {
	case "project":
		return json.Marshal(site.Project{ID: project, Name: project, State: site.ProjectActive, Generation: 1})
	case "deployments":
		body := pageOf(n)
		m, err := site.NewManifest(site.Meta{}, []site.FileEntry{{
			Path: "/index.html", ContentType: "text/html; charset=utf-8", Body: site.BlobEntry{SHA256: site.HashOf(body), Size: pageSize},
		}})
		if err != nil {
			return nil, err
		}
		return m.Encode()
	case "blobs":
		return pageOf(n), nil
	}
	return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
}

// pageOf is a project's page: its number, over and over.
func pageOf(project int) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint64(nil, uint64(project)), pageSize/8)
}

func hostOf(n int) string    { return fmt.Sprintf("h%d.%s", n, baseDomain) }
func projectOf(n int) string { return fmt.Sprintf("p%d", n/hostsPerProject) }
