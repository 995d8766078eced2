//go:build e2e

package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// TestTheDatabaseInPostgreSQL runs the platform on PostgreSQL: folders and builds
// go live, sites are served while PostgreSQL is away, deploys go on when it is
// back, and a platform that began with a file is moved there.
func TestTheDatabaseInPostgreSQL(t *testing.T) {
	server := pgtest.Start(t)
	address := server.Database(t)
	// A platform with a file, that has a site.
	p := start(t)
	dir := folder(t, map[string]string{"index.html": "one"})
	first := p.deploy(0, dir, "--project", "folder", "--prod")
	p.serves(first.URL, "/", "one")
	p.interrupt()

	key, err := os.ReadFile(filepath.Join(p.data, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "DATABASE_URL="+address, "MASTER_KEY="+strings.TrimSpace(string(key)))
	if stdout, stderr, code := p.run("db", "copy", "--data", p.data); code != 0 || !strings.Contains(stdout, "Every row is copied") {
		t.Fatalf("db copy: %d %s%s", code, stdout, stderr)
	}
	p.up()
	p.serves(first.URL, "/", "one")
	write(t, dir, "index.html", "two")
	second := p.deploy(0, dir, "--project", "folder", "--prod")
	if second.UploadedBlobs != 1 {
		t.Errorf("%d blobs were uploaded of a site that was moved", second.UploadedBlobs)
	}
	p.serves(second.URL, "/", "two")
	built := p.deploy(0, folder(t, script("mkdir dist && echo hi > dist/index.html")), "--build", "--project", "from-sources")
	p.serves(built.URL, "/", "hi")

	server.Kill()
	p.serves(second.URL, "/", "two")
	p.eventually("/ready says that the database is away", func() bool {
		response, err := http.Get(p.api + "/ready")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "database")
	})
	server.Start(t)
	write(t, dir, "index.html", "three")
	third := p.deploy(0, dir, "--project", "folder", "--prod")
	p.serves(third.URL, "/", "three")
	if stdout, stderr, code := p.run("db", "status"); code != 0 || !strings.Contains(stdout, "Pending      none") {
		t.Errorf("db status: %d %s%s", code, stdout, stderr)
	}
	p.kill() // and everything is there at the next start
	p.up()
	p.serves(third.URL, "/", "three")
	if _, stderr, code := p.run("rollback", first.ID, "--project", "folder", "-y"); code != 0 {
		t.Fatalf("rollback: %d %s", code, stderr)
	}
	p.serves(first.URL, "/", "one")
	if strings.Contains(p.out.String(), pgtest.Password) || strings.Contains(p.out.String(), "s3cret") {
		t.Errorf("the password is in the log:\n%s", p.out.tail(4000))
	}
}
