package api_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// TestABackupIsForAdministrators asks for one as everybody, and restores it.
func TestABackupIsForAdministrators(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	second := p.second(owner)
	project := owner.project("kept")
	ready := owner.deployFolder(project.ID, "<h1>kept</h1>")
	for _, o := range []struct {
		who    *client
		status int
	}{{p.anonymous(), http.StatusUnauthorized}, {second, http.StatusForbidden}, {owner.withScope("read"), http.StatusForbidden}, {owner.withScope("deploy"), http.StatusForbidden}} {
		for _, call := range []string{"GET /operation/backup", "GET /operation/garbage", "POST /operation/garbage", "GET /operation/garbage/last"} {
			method, path, _ := strings.Cut(call, " ")
			if r := o.who.do(method, path, nil).is(o.status); bytes.Contains(r.body, []byte(project.ID)) {
				t.Errorf("%s: %s", call, r.body)
			}
		}
	}
	owner.do("HEAD", "/operation/backup", nil).is(http.StatusOK) // which keeps no turn
	r := owner.do("GET", "/operation/backup", nil).is(http.StatusOK)
	if r.Header.Get("Content-Type") != "application/zstd" || r.Header.Get("Cache-Control") != "no-store" || !strings.Contains(r.Header.Get("Content-Disposition"), `attachment; filename="mini-vercel-20260301-1200`) {
		t.Errorf("%v", r.Header)
	}
	info, err := controlplane.ReadBackup(bytes.NewReader(r.body), nil)
	if err != nil || info.Rows == 0 || info.Key != controlplane.KeyFingerprint(p.config.MasterKey) {
		t.Fatalf("%+v %v", info, err)
	}
	if _, err := controlplane.ReadBackup(bytes.NewReader(r.body[:len(r.body)-1]), nil); err == nil {
		t.Error("a part is taken for the whole")
	}

	// Another machine, the same key and bucket.
	dir := t.TempDir()
	bucket, err := blob.OpenDir(filepath.Join(dir, "bucket"), blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	db, err := store.Open(t.Context(), filepath.Join(dir, "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other := controlplane.New(p.config, db, nil, nil, bucket, nil, slog.New(slog.DiscardHandler))
	if _, err := other.Restore(t.Context(), bytes.NewReader(r.body), controlplane.RecoverOptions{}); err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(tx controlplane.Tx) error {
		d, err := tx.Deployment(ready.ID)
		if err == nil && (d.ProjectID != project.ID || d.Status != controlplane.StatusReady) {
			t.Errorf("%+v", d)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestARoundOfGarbageIsFollowed begins a look, and then a removal.
func TestARoundOfGarbageIsFollowed(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	owner.project("looked-at")
	owner.do("GET", "/operation/garbage", nil).is(http.StatusNotFound)
	done := func(body any, dry bool) {
		t.Helper()
		var begun, round controlplane.GarbageRound
		owner.do("POST", "/operation/garbage", body).is(http.StatusAccepted).into(&begun)
		for deadline := time.Now().Add(20 * time.Second); round.State != controlplane.GarbageDone; time.Sleep(5 * time.Millisecond) {
			if round = (controlplane.GarbageRound{}); time.Now().After(deadline) {
				t.Fatal("it does not end")
			}
			owner.do("GET", "/operation/garbage", nil).is(http.StatusOK).into(&round)
		}
		if round.ID != begun.ID || round.Looked != 1 || round.Projects != 1 || round.Garbage.DryRun != dry || round.Garbage.EndedAt.IsZero() {
			t.Errorf("%+v %+v", round, round.Garbage)
		}
	}
	done(map[string]bool{"dryRun": true}, true)
	done(nil, false)
	owner.do("GET", "/operation/garbage/last", nil).is(http.StatusNotFound) // nothing went
}

// refusingLogs is a log store that answers, and refuses.
type refusingLogs struct{ *logs.SQLite }

func (refusingLogs) Ping(context.Context) error {
	return fmt.Errorf("%w: logs.internal does not take the user", logs.ErrCredentials)
}

// TestAPartThatRefusesIsToldFromOneThatIsAway names the settings to people who are
// signed in.
func TestAPartThatRefusesIsToldFromOneThatIsAway(t *testing.T) {
	file, err := logs.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "logs.db"))
	if err != nil {
		t.Fatal(err)
	}
	p := newPlane(t, func(p *plane) { p.logs = refusingLogs{file} })
	ready := p.anonymous().do("GET", "/ready", nil).is(http.StatusServiceUnavailable)
	if errs := ready.problem().Errors; len(errs) != 1 || errs[0].Field != "logs" || errs[0].Message != "refuses the control plane: a setting is wrong" || bytes.Contains(ready.body, []byte("CLICKHOUSE")) {
		t.Errorf("%s", ready.body)
	}
	var system api.System
	r := p.owner().do("GET", "/system", nil).is(http.StatusOK).into(&system)
	if !strings.Contains(string(r.body), "CLICKHOUSE_USERNAME, CLICKHOUSE_PASSWORD: ClickHouse refuses") || strings.Contains(string(r.body), "logs.internal") {
		t.Errorf("%s", r.body)
	}
	if !strings.Contains(p.log.String(), "logs.internal does not take the user") {
		t.Error("the log says less")
	}
}
