package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const testKey = "b1pNQ2Y4dVRxV0hKc0x5R2tEeFZhUmVOcEJ0SWdTd0U="

func runDatabase(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	root, out := newRootCommand(), &bytes.Buffer{}
	root.SetOut(out)
	root.SetErr(out)
	root.SetArgs(append([]string{"db"}, args...))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// TestMoveToPostgres: what an operator does, command by command.
func TestMoveToPostgres(t *testing.T) {
	defer pgtest.Stop()
	address := pgtest.Database(t)
	data := t.TempDir()
	env := []string{"DATABASE_URL=" + address, "DATA_DIR=" + data}
	settings, err := Load([]string{"DATA_DIR=" + data})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := openDataDir(data)
	if err != nil {
		t.Fatal(err)
	}
	from, err := settings.openStore(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	user := controlplane.User{ID: "u", Email: "me@example.test"}
	if err := from.Update(t.Context(), func(tx controlplane.Tx) error { return tx.InsertUser(&controlplane.UserRow{User: user}) }); err != nil {
		t.Fatal(err)
	}
	// A control plane runs.
	if _, err := runDatabase(t, env, "copy"); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("a copy while a control plane runs: %v", err)
	}
	from.Close()
	dir.Close()

	out, err := runDatabase(t, env, "status")
	if err != nil || !strings.Contains(out, "0001_deployments.sql, 0002") || !strings.Contains(out, "PostgreSQL 1") || !strings.Contains(out, "MiB") {
		t.Errorf("status of an empty database: %s%v", out, err)
	}
	if out, err = runDatabase(t, env, "copy"); err != nil || !strings.Contains(out, "users            1 of 1 rows\n") || !strings.Contains(out, "master.key") {
		t.Fatalf("%s%v", out, err)
	}
	if _, err := runDatabase(t, env, "copy"); err == nil || !strings.Contains(err.Error(), "has rows already") {
		t.Errorf("a copy onto what is there: %v", err)
	}
	if out, err = runDatabase(t, env, "status"); err != nil || !strings.Contains(out, "none\n") {
		t.Errorf("status: %s%v", out, err)
	}
	if out, err = runDatabase(t, env, "migrate"); err != nil || !strings.Contains(out, "The database has version") {
		t.Errorf("migrate: %s%v", out, err)
	}
	if strings.Contains(out, "s3cret") {
		t.Error("the password is shown")
	}

	// The control plane starts with the key that there was, and with no other.
	open := func(key string) error {
		s, err := Load(append(env, "MASTER_KEY="+key))
		if err != nil {
			t.Fatal(err)
		}
		db, err := s.openStore(context.Background(), &dataDir{path: t.TempDir()})
		if err == nil {
			defer db.Close()
			err = db.View(t.Context(), func(tx controlplane.Tx) error { _, err := tx.UserByEmail(user.Email); return err })
		}
		return err
	}
	key, err := os.ReadFile(filepath.Join(data, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := open(strings.TrimSpace(string(key))); err != nil {
		t.Error(err)
	}
	if err := open(testKey); err == nil || !strings.HasPrefix(err.Error(), "MASTER_KEY: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("another key: %v", err)
	}
	if err := open(""); err == nil || !strings.Contains(err.Error(), "MASTER_KEY is not set") {
		t.Errorf("no key: %v", err)
	}
}

// TestLogsMoveWithTheDatabase: to ClickHouse, where it is set.
func TestLogsMoveWithTheDatabase(t *testing.T) {
	server := clickhousetest.Start(t)
	defer pgtest.Stop()
	data := t.TempDir()
	env := []string{"DATA_DIR=" + data, "DATABASE_URL=" + pgtest.Database(t), "CLICKHOUSE_HOST=" + server.Host, "CLICKHOUSE_PORT=" + strconv.Itoa(server.Port),
		"CLICKHOUSE_DATABASE=" + server.NewDatabase(), "CLICKHOUSE_USERNAME=" + server.Username, "CLICKHOUSE_PASSWORD=" + server.Password}
	db, err := store.Open(t.Context(), filepath.Join(data, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	err = db.Update(t.Context(), func(tx controlplane.Tx) error {
		return errors.Join(tx.InsertProject(&controlplane.ProjectRow{Project: controlplane.Project{ID: "p", SubDomain: "p"}}),
			tx.InsertDeployment(&controlplane.DeploymentRow{Seq: 1, Deployment: controlplane.Deployment{ID: "quiet", HostID: "1", ProjectID: "p", CreatedAt: created}}),
			tx.InsertDeployment(&controlplane.DeploymentRow{Seq: 2, Deployment: controlplane.Deployment{ID: "loud", HostID: "2", ProjectID: "p", CreatedAt: created}}))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	file, err := logs.OpenSQLite(t.Context(), filepath.Join(data, logsName))
	if err != nil {
		t.Fatal(err)
	}
	loud := controlplane.LogRef{Deployment: "loud", Created: created}
	lines := []controlplane.LogLine{{Attempt: 1, Seq: 1, Time: created, Stream: site.Stdout, Phase: site.PhaseBuild, Text: "hello ä"}, {Attempt: 2, Seq: 1, Time: created, Stream: site.Stderr, Phase: site.PhaseBuild}}
	if err := errors.Join(file.Append(t.Context(), controlplane.LogBatch{LogRef: loud, Lines: lines}), file.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := runDatabase(t, env, "copy"); err != nil || !strings.Contains(out, "logs             2 of 2, 2 lines\n") || strings.Contains(out, "logs stay") {
		t.Fatalf("%s%v", out, err)
	}
	s, err := Load(env)
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.openLogs(t.Context(), &dataDir{path: data}, s.newLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if got, err := to.Lines(t.Context(), loud, controlplane.Cursor{}, 9, ""); err != nil || !reflect.DeepEqual(got, lines) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestStatusOfAFile(t *testing.T) {
	data := t.TempDir()
	env := []string{"DATA_DIR=" + data, "DATABASE_URL="}
	if _, err := runDatabase(t, env, "status"); err == nil || !strings.Contains(err.Error(), "there is no database") {
		t.Errorf("of none: %v", err)
	}
	if _, err := runDatabase(t, env, "copy"); err == nil || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("a copy to nowhere: %v", err)
	}
	db, err := store.Open(t.Context(), filepath.Join(data, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out, err := runDatabase(t, env, "status") // while it is open
	if err != nil || !strings.Contains(out, "SQLite 3") || !strings.Contains(out, "none\n") {
		t.Errorf("%s%v", out, err)
	}
}

// TestTheMasterKeyOfAFile: a file is tied to its key, too.
func TestTheMasterKeyOfAFile(t *testing.T) {
	data := t.TempDir()
	for i, key := range []string{"", testKey} {
		s, err := Load([]string{"DATA_DIR=" + data, "MASTER_KEY=" + key})
		if err != nil {
			t.Fatal(err)
		}
		db, err := s.openStore(t.Context(), &dataDir{path: data})
		if err == nil {
			db.Close()
		}
		if (err != nil) != (i == 1) {
			t.Errorf("key %d: %v", i, err)
		}
	}
}
