package controlplane_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func (p *plane) backup() []byte {
	p.t.Helper()
	var b bytes.Buffer
	info, err := p.Backup(p.t.Context(), &b)
	if err != nil || info.Rows == 0 {
		p.t.Fatalf("%+v %v", info, err)
	}
	return b.Bytes()
}

func (p *plane) restore(backup []byte) *controlplane.Recovery {
	p.t.Helper()
	report, err := p.Restore(p.t.Context(), bytes.NewReader(backup), controlplane.RecoverOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return report
}

func TestBackupBringsEverythingBack(t *testing.T) {
	onEveryBucket(t, func(t *testing.T, options ...option) {
		p, projects, _ := aFullPlane(t, options...)
		ctx := t.Context()
		if _, err := p.SetEnvVar(ctx, p.me, projects["repo"].ID, controlplane.EnvVarInput{Key: "SECRET", Value: ptr("hidden value"), Secret: true}); err != nil {
			t.Fatal(err)
		}
		failed := p.deploy(projects["repo"].ID, "broken")
		p.claim(p.next()).report(site.Event{Type: site.EventFailed, Reason: "x"})
		p.is(failed.ID, controlplane.StatusFail)
		seen, routed := p.shown(), p.routed()
		backup := p.backup()
		if bytes.Contains(unpacked(t, backup), []byte("hidden value")) {
			t.Fatal("a secret is readable in the backup")
		}
		p.loseDatabase()
		report := p.restore(backup)
		if report.Projects+report.Deployments+report.Hosts+report.Removed+report.Canceled != 0 {
			t.Errorf("nothing has changed since, but: %+v", report)
		}
		same(t, "what people see", p.shown(), seen)
		p.start()
		eventually(t, "everything is published again", p.nothingDirty)
		same(t, "what visitors see", p.routed(), routed)
		p.is(failed.ID, controlplane.StatusFail)
		p.deploy(projects["repo"].ID, "main")
		if b := p.claim(p.next()); len(b.job.Env) == 0 || b.job.Env[0].Value != "hidden value" {
			t.Errorf("environment of a build: %+v", b.job.Env)
		}
	})
}

// What was published after the backup stays; what was removed does not come back.
func TestRestoreOfAnOlderBackup(t *testing.T) {
	onEveryBucket(t, func(t *testing.T, options ...option) {
		p, projects, builds := aFullPlane(t, options...)
		ctx := t.Context()
		waiting := p.deploy(projects["repo"].ID, "main") // in progress when the backup is made
		building := p.claim(p.next())
		queued := p.deploy(projects["repo"].ID, "other")
		backup := p.backup()

		building.finish(version(20))
		p.claim(p.next()).report(site.Event{Type: site.EventFailed, Reason: "x"})
		p.is(queued.ID, controlplane.StatusFail)
		later := p.deployFiles(projects["rolled"].ID, site.Production, version(21))
		if _, err := p.ResumeProject(ctx, p.me, projects["rolled"].ID); err != nil {
			t.Fatal(err)
		}
		made := p.project("made later")
		p.deployFiles(made.ID, site.Production, version(22))
		if err := p.DeleteDeployment(ctx, p.me, builds["preview"].ID); err != nil {
			t.Fatal(err)
		}
		if err := p.DeleteProject(ctx, p.me, projects["down"].ID); err != nil {
			t.Fatal(err)
		}
		if err := p.RemoveDomain(ctx, p.me, projects["repo"].ID, customer); err != nil {
			t.Fatal(err)
		}
		if err := p.RemoveAccess(ctx, p.me, projects["repo"].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := p.UpdateProject(ctx, p.me, projects["empty"].ID, controlplane.ProjectPatch{SubDomain: ptr("renamed")}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "everything is published, and what was deleted is gone", func() bool {
			return p.nothingDirty() && len(p.keys(site.ProjectPrefix(projects["down"].ID))) == 0
		})
		seen, routed := p.shown(), p.routed()

		p.loseDatabase()
		report := p.restore(backup)
		if report.Canceled != 2 || report.Deployments != 3 || report.Removed != 1 || len(report.Losses) != 0 {
			t.Errorf("%+v", report)
		}
		same(t, "what people see", p.shown(), seen)
		p.start()
		eventually(t, "everything is published again", func() bool { return p.nothingDirty() })
		same(t, "what visitors see", p.routed(), routed)
		p.is(waiting.ID, controlplane.StatusReady)
		p.is(queued.ID, controlplane.StatusCanceled)
		p.none()
		if r := p.route("rolled.example.test"); r.Deployment != later.ID {
			t.Errorf("%+v", r)
		}
		// Nothing that visitors need is freed, and what was deleted stays so.
		p.collectNow(projects["rolled"].ID, 100*time.Hour)
		for n, project := range map[int]string{3: projects["rolled"].ID, 21: projects["rolled"].ID, 22: made.ID, 20: projects["repo"].ID} {
			if !p.has(project, fmt.Sprint("v", n)) {
				t.Errorf("the bytes of version %d are freed", n)
			}
		}
		_, err := p.Project(ctx, p.me, projects["down"].ID)
		wantCode(t, err, controlplane.CodeNotFound)
		if !p.route("down.example.test").Gone {
			t.Error("a deleted project's host answers again")
		}
	})
}

// A database that was put back by other means than restore is brought up to the
// bucket by the control plane itself, before anything is published or freed.
func TestOlderCopyOfTheDatabase(t *testing.T) {
	p := newPlane(t)
	p.age(0)
	p.start()
	project, gone := p.project("repo"), p.project("gone")
	p.deployFiles(project.ID, site.Production, version(1))
	p.deployFiles(gone.ID, site.Production, version(2))
	eventually(t, "published", p.nothingDirty)
	older := p.backup()
	later := p.deployFiles(project.ID, site.Production, version(3))
	if err := p.DeleteProject(t.Context(), p.me, gone.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its files are gone", func() bool { return len(p.keys(site.ProjectPrefix(gone.ID))) == 0 && p.nothingDirty() })
	// Pages that were open are no longer served 100 hours later; the bucket may
	// be told that before or after it is told everything again.
	seen, routed := p.shown(), p.routed("previous")
	p.loseDatabase()
	_, err := controlplane.ReadBackup(bytes.NewReader(older), func(table string, columns []string, values []any) error {
		return p.store.Update(t.Context(), func(tx controlplane.Tx) error { return tx.InsertRow(table, columns, values) })
	})
	if err != nil {
		t.Fatal(err)
	}
	p.age(100 * time.Hour)
	p.start()
	p.Sweep(t)
	eventually(t, "everything is published again", p.nothingDirty)
	same(t, "what people see", p.shown(), seen)
	same(t, "what visitors see", p.routed("previous"), routed)
	if !p.has(project.ID, "v3") || p.production() != later.ID {
		t.Error("the sweeper freed what the older database did not know")
	}
}

// A new database on a bucket that is in use leaves the bucket as it is.
func TestNewDatabaseFreesNothing(t *testing.T) {
	p := newPlane(t)
	p.age(0)
	p.start()
	project := p.project("repo")
	p.deployFiles(project.ID, site.Production, version(1))
	eventually(t, "published", p.nothingDirty)
	before := strings.Join(p.keys(""), "\n")
	p.loseDatabase()
	p.age(1000 * time.Hour)
	p.start()
	p.Sweep(t)
	if got := strings.Join(p.keys(""), "\n"); got != before {
		t.Errorf("the bucket has\n%s\nnot\n%s", got, before)
	}
}

func TestBackupThatIsNotWhole(t *testing.T) {
	p := newPlane(t)
	p.project("repo")
	good := p.backup()
	text := unpacked(t, good)
	lines := bytes.SplitAfter(bytes.TrimRight(text, "\n"), []byte("\n"))
	join := func(l ...[]byte) []byte { return packed(t, bytes.Join(l, nil)) }
	other := []byte(strings.Replace(string(text), `"version":1`, `"version":2`, 1))
	later := bytes.Join(lines[:len(lines)-1], nil)
	later = []byte(strings.Replace(string(later), `"schema":`, `"schema":9`, 1))
	for _, row := range []struct {
		name, want string
		file       []byte
	}{
		{"empty", "not a backup", nil},
		{"something else", "not a backup", []byte("PK\x03\x04 something else")},
		{"other lines", "not a backup", packed(t, []byte("{}\n"))},
		{"cut in the file", "not whole", good[:len(good)-5]},
		{"cut early", "not", good[:20]},
		{"without its end", "not whole", join(lines[:len(lines)-1]...)},
		{"without a row", "damaged", join(append(append([][]byte{}, lines[:3]...), lines[4:]...)...)},
		{"a changed row", "damaged", packed(t, bytes.Replace(text, []byte(`"repo"`), []byte(`"evil"`), 1))},
		{"a changed row, and a new sum", "changed this backup", packed(t, ended(bytes.Replace(bytes.Join(lines[:len(lines)-1], nil), []byte(`"repo"`), []byte(`"evil"`), 1), bytes.Repeat([]byte{9}, 32)))},
		{"a sum without a signature", "changed this backup", packed(t, regexp.MustCompile(`,"mac":"[0-9a-f]*"`).ReplaceAll(text, nil))},
		{"something behind", "damaged", packed(t, append(bytes.Clone(text), "[1]\n"...))},
		{"flipped bits", "damaged", func() []byte { b := bytes.Clone(good); b[len(b)/2] ^= 0xff; return b }()},
		{"another format", "format 2", packed(t, other)},
		{"a newer schema", "newer version", packed(t, ended(later, p.config.MasterKey))},
	} {
		t.Run(row.name, func(t *testing.T) {
			fresh := newPlane(t)
			_, err := fresh.Restore(t.Context(), bytes.NewReader(row.file), controlplane.RecoverOptions{})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
			if fresh.shown() != "null" {
				t.Error("something of it was restored")
			}
		})
	}
	otherKey := newPlane(t, func(p *plane) { p.config.MasterKey = bytes.Repeat([]byte{8}, 32) })
	_, err := otherKey.Restore(t.Context(), bytes.NewReader(good), controlplane.RecoverOptions{})
	wantCode(t, err, controlplane.CodeConflict)
}

// ended adds the last line to the lines of a backup, as who has a master key can.
func ended(lines, key []byte) []byte {
	rows := 0
	for line := range bytes.SplitSeq(lines, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("[")) {
			rows++
		}
	}
	bytesSum := sha256.Sum256(lines)
	sum := hex.EncodeToString(bytesSum[:])
	mac := hmac.New(sha256.New, controlplane.DeriveKey(key, "backups"))
	mac.Write([]byte(sum))
	return append(bytes.Clone(lines), fmt.Sprintf(`{"end":true,"rows":%d,"sha256":"%s","mac":"%x"}`+"\n", rows, sum, mac.Sum(nil))...)
}

func TestBackupWhoseReaderFails(t *testing.T) {
	p := newPlane(t)
	p.project("repo")
	full := errors.New("the disk is full")
	if _, err := p.Backup(t.Context(), failingWriter{full}); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func packed(t testing.TB, text []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(text, nil)
}

func unpacked(t testing.TB, file []byte) []byte {
	t.Helper()
	r, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := r.DecodeAll(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A bucket that is older than the backup, or empty, gets everything that the
// database knows, and what it lacks is named.
func TestRestoreToAnOlderBucket(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	kept := p.deployFiles(project.ID, site.Production, version(1))
	lost := p.deployFiles(project.ID, site.Production, version(2))
	eventually(t, "published", p.nothingDirty)
	routed := p.routed()
	backup := p.backup()
	p.kill()
	keys := append(p.keys(site.RoutesPrefix), p.keys("changes/")...)
	keys = append(keys, site.ProjectKey(project.ID), site.ManifestKey(project.ID, lost.ID))
	if err := p.raw.Delete(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	p.open()
	p.start()
	p.loseDatabase()
	look, err := p.Restore(t.Context(), bytes.NewReader(backup), controlplane.RecoverOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	report := p.restore(backup)
	same(t, "what a dry run says", fmt.Sprintf("%+v", look.Losses), fmt.Sprintf("%+v", report.Losses))
	if len(report.Losses) != 1 || !strings.Contains(report.Losses[0].What, lost.ID) || strings.Contains(report.Losses[0].What, kept.ID) {
		t.Errorf("%+v", report.Losses)
	}
	p.start()
	eventually(t, "everything is published again", p.nothingDirty)
	same(t, "what visitors are told", p.routed(), routed)

	// It is deployed again, and what is lost is removed: then all is as ever.
	for _, damaged := range []bool{false, true} {
		if damaged {
			p.write(site.ManifestKey(project.ID, lost.ID), "no manifest")
		}
		known, err := p.KnownBlobs(t.Context(), actor(p.me), project.ID, []site.Hash{site.HashOf([]byte("v1"))})
		if err != nil || len(known) != 1 {
			t.Errorf("known beside a lost manifest (damaged: %v): %v %v", damaged, known, err)
		}
	}
	again := p.deployFiles(project.ID, site.Production, version(2))
	if r := p.route(productionHost); r.Deployment != again.ID {
		t.Errorf("%+v", r)
	}
	if err := p.DeleteDeployment(t.Context(), p.me, lost.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its tombstone stands", p.nothingDirty)
	p.age(25 * time.Hour)
	if g := p.garbage(); len(g.Failures) != 0 {
		t.Errorf("%v", g.Failures)
	}
}
