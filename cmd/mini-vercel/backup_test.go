package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// loseDatabase removes the database of a data directory.
func loseDatabase(t *testing.T, data string) {
	t.Helper()
	for _, name := range []string{databaseName, databaseName + "-wal", databaseName + "-shm"} {
		if err := os.RemoveAll(filepath.Join(data, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// page asks the edge for a page of a site by its address.
func pageAt(t *testing.T, address string) string {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "http://"), ":")
	port := address[strings.LastIndex(address, ":")+1:]
	deadline := time.Now().Add(20 * time.Second)
	for {
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+strings.TrimSuffix(port, "/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err == nil && res.StatusCode == http.StatusOK || time.Now().After(deadline) {
				return string(body)
			}
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func listedReady(t *testing.T) string {
	t.Helper()
	var ids []string
	for _, d := range decode[[]controlplane.Deployment](t, command(t, "list", "--json").stdout) {
		if d.Status == controlplane.StatusReady {
			ids = append(ids, d.ID)
		}
	}
	return strings.Join(ids, " ")
}

func TestBackupAndRecovery(t *testing.T) {
	isolate(t)
	data := t.TempDir()
	_, stop := startUpOn(t, data)
	site := write(t, filepath.Join(t.TempDir(), "my-site"), map[string]string{"index.html": "one"})
	command(t, "deploy", site, "-y")
	file := filepath.Join(t.TempDir(), "platform.backup")
	made := command(t, "backup", file)
	if made.code != 0 || !strings.Contains(made.stderr, "read back and whole") {
		t.Fatalf("%+v", made)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("something is left beside the backup: %v", entries)
	}
	piped := command(t, "backup", "-")
	if info, err := controlplane.ReadBackup(strings.NewReader(piped.stdout), nil); piped.code != 0 || err != nil || info.Rows == 0 {
		t.Errorf("%d %s %v", piped.code, piped.stderr, err)
	}
	write(t, site, map[string]string{"index.html": "two"})
	command(t, "deploy", site, "-y", "--prod", "--project", "my-site")
	seen := listedReady(t)

	for _, args := range [][]string{{"restore", file, "--data", data}, {"rebuild-from-bucket", "--data", data}, {"backup", "--offline", file, "--data", data}} {
		if r := command(t, args...); r.code != 1 || !strings.Contains(r.stderr, "stop it first") {
			t.Errorf("%v beside a platform that runs: %+v", args, r)
		}
	}
	if r := command(t, "gc", "--dry-run"); r.code != 0 || !strings.Contains(r.stdout, "nothing was removed") {
		t.Errorf("%+v", r)
	}
	if g := decode[controlplane.Garbage](t, command(t, "gc", "--json").stdout); g.DryRun || g.EndedAt.IsZero() {
		t.Errorf("%+v", g)
	}
	if r := command(t, "gc", "--report"); r.code != 1 || !strings.Contains(r.stderr, "Nothing has been removed yet") {
		t.Errorf("%+v", r)
	}
	if r := command(t, "gc", "--report", "--dry-run"); r.code != 2 {
		t.Errorf("%+v", r)
	}
	stop()

	offline := filepath.Join(t.TempDir(), "offline.backup")
	if r := command(t, "backup", "--offline", offline, "--data", data); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if r := command(t, "restore", offline, "--data", data); r.code != 1 || !strings.Contains(r.stderr, "not empty") {
		t.Errorf("%+v", r)
	}

	loseDatabase(t, data)
	broken := filepath.Join(t.TempDir(), "broken.backup")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, whole[:len(whole)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	if r := command(t, "restore", broken, "--data", data); r.code != 1 || !strings.Contains(r.stderr, "not whole") {
		t.Errorf("%+v", r)
	}
	if r := command(t, "restore", file, "--data", data, "--dry-run"); r.code != 0 || !strings.Contains(r.stdout, "dry run") || !strings.Contains(r.stdout, "1 deployments") {
		t.Errorf("%+v", r)
	}
	if r := commandWith(t, t.Context(), string(whole), "restore", "-", "--data", data); r.code != 0 || !strings.Contains(r.stdout, "1 deployments") {
		t.Errorf("%+v", r)
	}
	_, stop = startUpOn(t, data)
	if got := listedReady(t); got != seen {
		t.Errorf("deployments after a restore: %s, want %s", got, seen)
	}
	var projects []controlplane.Project
	if err := json.Unmarshal([]byte(command(t, "projects", "--json").stdout), &projects); err != nil || len(projects) != 1 {
		t.Fatal(projects, err)
	}
	if got := pageAt(t, projects[0].URL); got != "two" {
		t.Errorf("visitors see %q", got)
	}
	stop()

	loseDatabase(t, data)
	if r := command(t, "rebuild-from-bucket", "--data", data, "--dry-run", "--json"); r.code != 0 || decode[controlplane.Recovery](t, r.stdout).Deployments != 2 {
		t.Errorf("%+v", r)
	}
	if r := command(t, "rebuild-from-bucket", "--data", data); r.code != 0 || !strings.Contains(r.stdout, "setup link") || !strings.Contains(r.stdout, "environment variables") || !strings.Contains(r.stderr, "Read 2 deployments") {
		t.Errorf("%+v", r)
	}
	_, stop = startUpOn(t, data)
	if got := listedReady(t); got != seen {
		t.Errorf("deployments after a rebuild: %s, want %s", got, seen)
	}
	write(t, site, map[string]string{"index.html": "three"})
	if r := command(t, "deploy", site, "-y", "--prod", "--project", "my-site"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if err := json.Unmarshal([]byte(command(t, "projects", "--json").stdout), &projects); err != nil {
		t.Fatal(err)
	}
	if got := pageAt(t, projects[0].URL); got != "three" {
		t.Errorf("visitors see %q", got)
	}
	stop()
}

// Who has lost the whole directory begins with another key, perhaps by a start:
// an empty database takes the backup's.
func TestRestoreWithTheKeyOfTheBackup(t *testing.T) {
	isolate(t)
	data := t.TempDir()
	_, stop := startUpOn(t, data)
	site := write(t, filepath.Join(t.TempDir(), "my-site"), map[string]string{"index.html": "one"})
	command(t, "deploy", site, "-y")
	file := filepath.Join(t.TempDir(), "platform.backup")
	command(t, "backup", file)
	seen := listedReady(t)
	stop()
	key, err := os.ReadFile(filepath.Join(data, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	loseDatabase(t, data)
	if err := os.Remove(filepath.Join(data, "master.key")); err != nil {
		t.Fatal(err)
	}
	_, stop = startUpOn(t, data) // which makes another key
	stop()
	if r := command(t, "restore", file, "--data", data); r.code != 1 || !strings.Contains(r.stderr, "another master key") {
		t.Fatalf("%+v", r)
	}
	if err := os.WriteFile(filepath.Join(data, "master.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := command(t, "restore", file, "--data", data, "--dry-run"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if _, err := backupRows(t, data); err == nil {
		t.Error("a dry run has changed the key that the database belongs to")
	}
	if r := command(t, "restore", file, "--data", data); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	_, stop = startUpOn(t, data)
	defer stop()
	if got := listedReady(t); got != seen {
		t.Errorf("deployments after the restore: %s, want %s", got, seen)
	}
}

// backupRows counts what is in the database of a data directory.
func backupRows(t *testing.T, data string, env ...string) (int64, error) {
	t.Helper()
	if len(env) == 0 && !exists(data, databaseName) {
		return 0, nil
	}
	s, err := Load(append(env, "DATA_DIR="+data))
	if err != nil {
		return 0, err
	}
	var b bytes.Buffer
	err = withDatabase(t.Context(), s, s.openStore, func(service *controlplane.Service) error {
		_, err := service.Backup(t.Context(), &b)
		return err
	})
	if err != nil {
		return 0, err
	}
	rows := int64(0)
	_, err = controlplane.ReadBackup(&b, func(table string, _ []string, _ []any) error {
		if table != "counters" { // numbers that were drawn are gone, whatever became of what they were for
			rows++
		}
		return nil
	})
	return rows, err
}
