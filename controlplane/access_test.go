package controlplane_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const accessWord = "correct horse battery"

// record is what the bucket has of a project.
func (p *plane) record(project string) site.Project {
	p.t.Helper()
	var r site.Project
	p.read(site.ProjectKey(project), &r)
	return r
}

func (p *plane) setAccess(project string, scope site.AccessScope, password *string) error {
	_, err := p.SetAccess(p.t.Context(), p.me, project, controlplane.AccessInput{Scope: scope, Password: password})
	return err
}

// fits reports whether a password is that of a record, as an edge does.
func fits(t *testing.T, a *site.Access, password string) bool {
	t.Helper()
	h, err := site.ParsePasswordHash(a.PasswordHash)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(argon2.IDKey([]byte(password), h.Salt, h.Time, h.MemoryKiB, h.Threads, site.PasswordKeySize), h.Key)
}

func TestProtectionIsPublishedWithTheProjectsRecord(t *testing.T) {
	t.Parallel()
	p := newPlane(t).start()
	project := p.project("repo")
	word, other := accessWord, "another password"
	eventually(t, "the record is published", func() bool { return p.record(project.ID).Generation > 0 })
	before := p.record(project.ID)
	if before.Access != nil {
		t.Fatalf("a new project: %+v", before.Access)
	}
	if err := p.setAccess(project.ID, site.AccessPreviews, &word); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record has the protection", func() bool { return p.record(project.ID).Access != nil })
	first := p.record(project.ID)
	if first.Access.Scope != site.AccessPreviews || len(first.Access.CookieKey) != site.AccessKeySize || !fits(t, first.Access, accessWord) || first.Generation <= before.Generation {
		t.Errorf("%+v", first)
	}
	shown, err := p.Project(t.Context(), p.me, project.ID)
	if err != nil || shown.Access == nil || shown.Access.Scope != site.AccessPreviews {
		t.Errorf("%+v, %v", shown, err)
	}

	// Another scope alone: who has access keeps it.
	if err := p.setAccess(project.ID, site.AccessAll, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the scope is wider", func() bool { return p.record(project.ID).Access.Scope == site.AccessAll })
	if second := p.record(project.ID).Access; second.PasswordHash != first.Access.PasswordHash || !bytes.Equal(second.CookieKey, first.Access.CookieKey) {
		t.Error("the scope alone changed hash or key")
	}
	// A password, even the same one: nobody does.
	for _, password := range []*string{&other, &other} {
		was := p.record(project.ID).Access
		if err := p.setAccess(project.ID, site.AccessAll, password); err != nil {
			t.Fatal(err)
		}
		eventually(t, "hash and key are replaced", func() bool {
			is := p.record(project.ID).Access
			if (is.PasswordHash == was.PasswordHash) != bytes.Equal(is.CookieKey, was.CookieKey) {
				t.Fatal("one without the other")
			}
			return is.PasswordHash != was.PasswordHash && fits(t, is, other)
		})
	}
	if err := p.RemoveAccess(t.Context(), p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record is open", func() bool { return p.record(project.ID).Access == nil })
	if err := p.setAccess(project.ID, site.AccessAll, nil); controlplane.CodeOf(err) != controlplane.CodeInvalid {
		t.Errorf("no password after there was one: %v", err)
	}
	if err := p.RemoveAccess(t.Context(), p.me, project.ID); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}

func TestTheAccessKeyIsEncryptedAtRest(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	word := accessWord
	if err := p.setAccess(project.ID, site.AccessAll, &word); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record has the protection", func() bool { return p.record(project.ID).Access != nil })
	key := p.record(project.ID).Access.CookieKey
	var row *controlplane.ProjectRow
	err := p.store.View(t.Context(), func(tx controlplane.Tx) (err error) { row, err = tx.Project(project.ID); return err })
	if err != nil || row.Protection == nil || bytes.Contains(row.Protection.CookieKey, key) {
		t.Fatalf("%+v, %v", row.Protection, err)
	}
	if p.database != "" {
		return // what the row holds is what the server is sent
	}
	files, err := filepath.Glob(filepath.Join(p.dir, "control.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if b, err := os.ReadFile(name); err != nil || bytes.Contains(b, []byte(accessWord)) || bytes.Contains(b, key) {
			t.Errorf("%s has the password or the key, %v", name, err)
		}
	}
	o, err := p.raw.Get(t.Context(), site.ProjectKey(project.ID), blob.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	if b, err := io.ReadAll(o.Body); err != nil || bytes.Contains(b, []byte(accessWord)) {
		t.Errorf("the bucket has the password, %v", err)
	}
}

func TestWhatAPasswordOfAProjectMayBe(t *testing.T) {
	p := newPlane(t)
	project := p.project("repo")
	for _, tt := range []struct {
		name, password string
		good           bool
	}{
		{"empty", "", false},
		{"too short", strings.Repeat("a", controlplane.MinAccessPassword-1), false},
		{"shortest", strings.Repeat("a", controlplane.MinAccessPassword), true},
		{"longest", strings.Repeat("a", controlplane.MaxAccessPassword), true},
		{"too long", strings.Repeat("a", controlplane.MaxAccessPassword+1), false},
		{"characters, not bytes", strings.Repeat("ä", controlplane.MinAccessPassword-1), false},
		{"longest of four bytes each", strings.Repeat("🐎", controlplane.MaxAccessPassword), true},
		{"with spaces", " pass word ", true},
		{"a line break", "pass\nword1", false},
		{"a NUL", "pass\x00word1", false},
		{"not UTF-8", "password\xff", false},
	} {
		err := p.setAccess(project.ID, site.AccessAll, &tt.password)
		if (err == nil) != tt.good || err != nil && controlplane.CodeOf(err) != controlplane.CodeInvalid {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && tt.password != "" && strings.Contains(err.Error(), tt.password) {
			t.Errorf("%s: the error repeats it: %v", tt.name, err)
		}
	}
	word := accessWord
	for _, scope := range []site.AccessScope{"", "some", "All"} {
		if err := p.setAccess(project.ID, scope, &word); controlplane.CodeOf(err) != controlplane.CodeInvalid {
			t.Errorf("scope %q: %v", scope, err)
		}
	}
}

// recordless is a bucket that does not take one key.
type recordless struct {
	blob.Store
	key atomic.Value // string
}

func (b *recordless) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (blob.Info, error) {
	if key == b.key.Load() {
		return blob.Info{}, errFault
	}
	return b.Store.Put(ctx, key, body, size, opts)
}

// TestNoRouteGoesBeforeItsProtection: what is deployed after a project was
// protected is not live before edges can know of the protection.
func TestNoRouteGoesBeforeItsProtection(t *testing.T) {
	t.Parallel()
	bucket := &recordless{}
	p := newPlane(t, func(p *plane) { bucket.Store = p.raw; p.bucket = bucket }).start()
	project, other := p.project("repo"), p.project("other")
	open := p.deployFiles(project.ID, site.Production, version(1))
	eventually(t, "it is live", func() bool { return p.route(productionHost).Deployment == open.ID })

	bucket.key.Store(site.ProjectKey(project.ID))
	word := accessWord
	if err := p.setAccess(project.ID, site.AccessAll, &word); err != nil {
		t.Fatal(err)
	}
	secret := p.deployFiles(project.ID, site.Production, version(2))
	theirs := p.deployFiles(other.ID, site.Production, version(1))
	eventually(t, "another project is live", func() bool { return p.route("other.example.test").Deployment == theirs.ID })
	if r := p.route(productionHost); r.Deployment != open.ID {
		t.Errorf("the route is %+v, the record %+v", r, p.record(project.ID))
	}
	if r := p.route(secret.HostID + "--" + productionHost); r.Deployment != "" {
		t.Errorf("its own route is %+v", r)
	}
	bucket.key.Store("")
	eventually(t, "both are published", func() bool {
		return p.route(productionHost).Deployment == secret.ID && p.record(project.ID).Access != nil
	})
}

func TestShareLinks(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.SiteScheme, p.config.SitePort = "http", 8001 }).start()
	project, theirs := p.project("repo"), p.project("other")
	p.deployFiles(project.ID, "", version(1))
	preview := p.deployFiles(project.ID, "", version(2))
	host := preview.HostID + "--repo.example.test"
	share := func(in controlplane.ShareInput) (*controlplane.ShareLink, error) {
		if in.ExpiresIn == 0 {
			in.ExpiresIn = time.Hour
		}
		return p.ShareLink(t.Context(), p.me, project.ID, in)
	}
	if _, err := share(controlplane.ShareInput{Host: host}); controlplane.CodeOf(err) != controlplane.CodeConflict {
		t.Errorf("without a password: %v", err)
	}
	word := accessWord
	if err := p.setAccess(project.ID, site.AccessPreviews, &word); err != nil {
		t.Fatal(err)
	}
	if err := p.setAccess(theirs.ID, site.AccessAll, &word); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record has the protection", func() bool { return p.record(project.ID).Access != nil })
	key := p.record(project.ID).Access.CookieKey

	for _, tt := range []struct {
		name, host, path string
		expires          time.Duration
		code             controlplane.Code
		url              string // with TOKEN
	}{
		{"a preview", host, "", 0, "", "http://" + host + ":8001/?mv_share=TOKEN"},
		{"as it stands in an address", strings.ToUpper(host) + ":8001", "/", 0, "", "http://" + host + ":8001/?mv_share=TOKEN"},
		{"a page", host, "/docs/a%20b", 0, "", "http://" + host + ":8001/docs/a%20b?mv_share=TOKEN"},
		{"with query and fragment", host, "/docs?a=1#top", 0, "", "http://" + host + ":8001/docs?a=1&mv_share=TOKEN#top"},
		{"the shortest time", host, "", time.Minute, "", "http://" + host + ":8001/?mv_share=TOKEN"},
		{"the longest time", host, "", 30 * 24 * time.Hour, "", "http://" + host + ":8001/?mv_share=TOKEN"},
		{"too short", host, "", time.Minute - time.Second, controlplane.CodeInvalid, ""},
		{"too long", host, "", 30*24*time.Hour + time.Second, controlplane.CodeInvalid, ""},
		{"in the past", host, "", -time.Hour, controlplane.CodeInvalid, ""},
		{"production, which is open", productionHost, "", 0, controlplane.CodeConflict, ""},
		{"another project's", "other.example.test", "", 0, controlplane.CodeInvalid, ""},
		{"nobody's", "nobody.example.test", "", 0, controlplane.CodeInvalid, ""},
		{"no host", "https://" + host, "", 0, controlplane.CodeInvalid, ""},
		{"the longest path", host, "/" + strings.Repeat("a", controlplane.MaxSharePath-1), 0, "", "http://" + host + ":8001/" + strings.Repeat("a", controlplane.MaxSharePath-1) + "?mv_share=TOKEN"},
		{"too long a path", host, "/" + strings.Repeat("a", controlplane.MaxSharePath), 0, controlplane.CodeInvalid, ""},
		{"another host in the path", host, "//evil.test/", 0, controlplane.CodeInvalid, ""},
		{"a backslash in the path", host, `/\evil.test/`, 0, controlplane.CodeInvalid, ""},
		{"no path", host, "docs", 0, controlplane.CodeInvalid, ""},
		{"a line break in the path", host, "/a\nb", 0, controlplane.CodeInvalid, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			link, err := share(controlplane.ShareInput{Host: tt.host, Path: tt.path, ExpiresIn: tt.expires})
			if controlplane.CodeOf(err) != tt.code || (err == nil) != (tt.url != "") {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			u, err := url.Parse(link.URL)
			if err != nil {
				t.Fatal(err)
			}
			token := u.Query().Get(site.ShareParameter)
			if got := strings.Replace(link.URL, token, "TOKEN", 1); got != tt.url || link.Host != host {
				t.Errorf("got %s at %s", got, link.Host)
			}
			expires, good := site.CheckAccessToken(key, site.AccessShare, host, token, p.clock.Now())
			if !good || !expires.Equal(link.ExpiresAt) {
				t.Errorf("the token: %v, %v; the link %v", expires, good, link.ExpiresAt)
			}
			if _, good := site.CheckAccessToken(key, site.AccessCookie, host, token, p.clock.Now()); good {
				t.Error("it is good as a cookie")
			}
		})
	}
	if err := p.setAccess(project.ID, site.AccessAll, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := share(controlplane.ShareInput{Host: productionHost}); err != nil {
		t.Errorf("production, protected: %v", err)
	}
	if err := p.DeleteDeployment(t.Context(), p.me, preview.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := share(controlplane.ShareInput{Host: host}); controlplane.CodeOf(err) != controlplane.CodeInvalid {
		t.Errorf("a tombstone: %v", err)
	}
}

func TestAccessOfAProjectThatIsNotOnes(t *testing.T) {
	p := newPlane(t)
	project := p.project("repo")
	word := accessWord
	reader := p.me
	reader.Scope = controlplane.ScopeRead
	for name, tt := range map[string]struct {
		by   controlplane.Principal
		code controlplane.Code
	}{
		"another":            {controlplane.Principal{UserID: "you", Admin: true, Scope: controlplane.ScopeAdmin}, controlplane.CodeNotFound},
		"nobody":             {controlplane.Principal{}, controlplane.CodeUnauthorized},
		"a token that reads": {reader, controlplane.CodeForbidden},
	} {
		_, set := p.SetAccess(t.Context(), tt.by, project.ID, controlplane.AccessInput{Scope: site.AccessAll, Password: &word})
		remove := p.RemoveAccess(t.Context(), tt.by, project.ID)
		_, share := p.ShareLink(t.Context(), tt.by, project.ID, controlplane.ShareInput{Host: productionHost, ExpiresIn: time.Hour})
		for what, err := range map[string]error{"set": set, "remove": remove, "share": share} {
			if controlplane.CodeOf(err) != tt.code {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	if s := fmt.Sprintf("%+v", p.record(project.ID)); strings.Contains(s, "argon2id") {
		t.Error(s)
	}
}
