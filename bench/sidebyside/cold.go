package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	coldHosts = 40 // of one round, each of a project of its own
	coldDelay = 20 * time.Millisecond
	s3Bucket  = "bench"
	s3Key     = "bench-key"
	s3Secret  = "bench-secret"
)

// coldScene asks for pages that the edge has never heard of, one after the
// other: the bucket is at S3, 20 ms away.
func (b *bench) coldScene(name string, f file) scene {
	asked := 0
	return scene{
		name: name, servers: []server{{name: coldName, command: "versitygw, behind a proxy that takes 20 ms"}},
		load: func(ctx context.Context, _ server) (sample, error) {
			if b.cold == "" {
				if err := b.startCold(ctx); err != nil {
					return sample{}, err
				}
			}
			var times []time.Duration
			start := time.Now()
			for range coldHosts {
				before := time.Now()
				if err := fetch(ctx, "http://"+b.cold+f.edgePath, hostOf(asked*perProject), f); err != nil {
					return sample{}, err
				}
				times = append(times, time.Since(before))
				asked++
			}
			return sample{coldHosts / time.Since(start).Seconds(), percentile(times, 50), percentile(times, 99)}, nil
		},
		command: func(server) string {
			return "first requests for pages of hosts that were never asked for, one after the other"
		},
	}
}

// errNoS3: the scene is left out.
var errNoS3 = errors.New("versitygw is not installed (make tools)")

func s3Program() (string, error) {
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path, nil
	}
	path, err := filepath.Abs(".cache/bin/versitygw")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", errNoS3
	}
	return path, nil
}

// startCold starts an S3 service, fills it, and starts an edge on it.
func (b *bench) startCold(ctx context.Context) error {
	program, err := s3Program()
	if err != nil {
		return err
	}
	var service, edge string
	if err := errors.Join(pick(&service), pick(&edge), os.Mkdir(filepath.Join(b.dir, "s3"), 0o755)); err != nil {
		return err
	}
	err = b.spawn([]string{program, "--port", service, "--quiet", "--keep-alive", "posix", filepath.Join(b.dir, "s3")}, "ROOT_ACCESS_KEY="+s3Key, "ROOT_SECRET_KEY="+s3Secret)
	if err != nil {
		return err
	}
	if err := b.fillS3(ctx, "http://"+service); err != nil {
		return err
	}
	proxy, err := b.slowly("http://" + service)
	if err != nil {
		return err
	}
	s := server{http: edge}
	if err := pick(&s.https); err != nil {
		return err
	}
	config := b.caddyConfig(s, map[string]any{"handler": "mini_vercel"}, map[string]any{"mini_vercel": map[string]any{
		"bucket":      map[string]string{"name": s3Bucket, "endpoint": proxy, "region": "us-east-1", "access_key_id": s3Key, "secret_access_key": s3Secret},
		"base_domain": baseDomain, "state_dir": filepath.Join(b.dir, "cold-state"),
	}})
	if err := b.spawnSelf("serve-caddy", "cold", config, tuned...); err != nil {
		return err
	}
	b.cold = edge
	page := b.file("10 KiB")
	return eventually(ctx, func() error { return fetch(ctx, "http://"+edge+page.edgePath, siteHost, page) })
}

// fillS3 copies what the scene needs from the bucket in the directory.
func (b *bench) fillS3(ctx context.Context, endpoint string) error {
	client := s3.New(s3.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(s3Key, s3Secret, ""),
	})
	err := eventually(ctx, func() error {
		_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(s3Bucket)})
		return err
	})
	if err != nil {
		return fmt.Errorf("create the bucket at versitygw: %w", err)
	}
	store, err := blob.OpenS3(ctx, blob.S3Options{Bucket: s3Bucket, Endpoint: endpoint, Region: "us-east-1", AccessKeyID: s3Key, SecretAccessKey: s3Secret})
	if err != nil {
		return err
	}
	defer store.Close()
	keys := []string{site.RouteKey(siteHost)}
	projects := []string{"site"}
	for i := range coldHosts * b.rounds {
		keys = append(keys, site.RouteKey(hostOf(i*perProject)))
		projects = append(projects, fmt.Sprintf("p%d", i))
	}
	objects := filepath.Join(b.bucket(), "objects")
	for _, project := range projects {
		err := filepath.WalkDir(filepath.Join(objects, site.ProjectPrefix(project)), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			key, err := filepath.Rel(objects, path)
			keys = append(keys, key)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, key := range keys {
		body, err := os.ReadFile(filepath.Join(objects, key))
		if err != nil {
			return err
		}
		if _, err := store.Put(ctx, key, bytes.NewReader(body), int64(len(body)), blob.PutOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// slowly is a proxy that takes its time with every request.
func (b *bench) slowly(endpoint string) (string, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	var address string
	if err := pick(&address); err != nil {
		return "", err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // the signature is over the name that the edge uses
	}, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(coldDelay)
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = server.ListenAndServe() }() // until the process ends
	return "http://" + address, nil
}
