//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

// TestTheBucketAtS3 runs the platform on a bucket of a real S3 service: a
// folder, a build and a rollback go live at its own edge and at one that has
// nothing but the bucket.
func TestTheBucketAtS3(t *testing.T) {
	bucket := blobtest.StartS3(t).NewBucket(t)
	p := start(t, atS3(bucket)...)
	files := map[string]string{"index.html": "one", "app.css": strings.Repeat("body { color: red }\n", 100), "404.html": "nothing here"}
	for i := range 200 {
		files[fmt.Sprintf("docs/%d.html", i)] = fmt.Sprintf("page %d", i)
	}
	dir := folder(t, files)

	first := p.deploy(0, dir, "--project", "folder", "--prod")
	if first.Status != "READY" || first.Files != len(files) || first.UploadedBlobs < len(files) {
		t.Fatalf("%+v", first)
	}
	p.serves(first.URL, "/", "one")
	if status, body := p.get(first.URL, "/docs/7"); status != http.StatusOK || body != "page 7" {
		t.Fatalf("/docs/7: %d %q", status, body)
	}
	if status, body := p.get(first.URL, "/missing"); status != http.StatusNotFound || body != "nothing here" {
		t.Fatalf("/missing: %d %q", status, body)
	}
	write(t, dir, "index.html", "two")
	second := p.deploy(0, dir, "--project", "folder", "--prod")
	if second.UploadedBlobs != 1 {
		t.Fatalf("one changed file uploaded %d blobs", second.UploadedBlobs)
	}
	p.serves(second.URL, "/", "two")
	p.serves(first.DeploymentURL, "/", "one")

	alone := p.edgeAlone()
	alone.serves(second.URL, "/", "two")
	if _, stderr, code := p.run("rollback", first.ID, "--project", "folder", "-y"); code != 0 {
		t.Fatalf("rollback: %d %s", code, stderr)
	}
	p.serves(first.URL, "/", "one")
	alone.serves(first.URL, "/", "one")

	// An archive goes up by one signed URL and comes down by another.
	built := p.deploy(0, folder(t, script("mkdir dist && echo hi > dist/index.html")), "--build", "--project", "from-sources")
	p.serves(built.URL, "/", "hi")

	if _, err := os.Stat(filepath.Join(p.data, "bucket")); !os.IsNotExist(err) {
		t.Errorf("there is a directory bucket, too: %v", err)
	}
	p.interrupt() // the edge needs no control plane
	alone.serves(first.URL, "/docs/8", "page 8")
	for _, out := range []*transcript{p.out, alone.out} {
		if strings.Contains(out.String(), bucket.SecretAccessKey) {
			t.Errorf("the secret is in the log:\n%s", out.tail(4000))
		}
	}
}

// TestABrowserUploadsToS3 chooses a folder in Chromium: its archive goes to
// another origin, which the page's policy and the bucket's CORS rule allow.
func TestABrowserUploadsToS3(t *testing.T) {
	program := chromium(t)
	bucket := blobtest.StartS3(t).NewBucket(t)
	p := start(t, atS3(bucket)...)
	cmd := browse("browserfolder.mjs", "CHROMIUM="+program, "SETUP="+p.setup, "UPLOADS="+bucket.Endpoint,
		"FOLDER="+folder(t, map[string]string{"index.html": "<h1>from a folder</h1>", "about.html": "about"}))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.serves("from-folder.localhost", "/", "<h1>from a folder</h1>")
}

// atS3 are the settings of a bucket.
func atS3(o blob.S3Options) []string {
	return []string{
		"R2_BUCKET_NAME=" + o.Bucket, "R2_ENDPOINT=" + o.Endpoint, "AWS_REGION=" + o.Region,
		"R2_ACCESS_KEY_ID=" + o.AccessKeyID, "R2_SECRET_ACCESS_KEY=" + o.SecretAccessKey,
	}
}

var aloneLine = regexp.MustCompile(`The edge answers at http://<project>\.localhost:(\d+) for the bucket s3:`)

// edgeAlone runs `edge` on the platform's bucket, with a directory of its own.
func (p *platform) edgeAlone() *platform {
	p.t.Helper()
	e := &platform{t: p.t, data: filepath.Join(p.t.TempDir(), "edge"), config: p.t.TempDir(), env: p.env, out: &transcript{}}
	e.cmd = e.command("edge", "--data", e.data, "--edge-port", "0")
	e.cmd.Env = append(e.cmd.Env, "METRICS_ADDR=off")
	e.cmd.Stdout, e.cmd.Stderr = e.out, e.out
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	e.exited = make(chan error, 1)
	go func() { e.exited <- e.cmd.Wait() }()
	p.t.Cleanup(func() { e.interrupt() })
	e.eventually("edge prints its address", func() bool {
		if at := aloneLine.FindStringSubmatch(e.out.String()); at != nil {
			e.edge = "127.0.0.1:" + at[1]
		}
		return e.edge != ""
	})
	return e
}
