package store_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

var wholeTable = regexp.MustCompile(`Seq Scan on (?:[a-fh-z]|g[a-np-z])`) // but for goose's own

var filtered = regexp.MustCompile(`Rows Removed by (?:Join )?Filter: (\d+)`)

// TestStatementsUseIndexes has the server say how it ran each statement, on a
// database with 20,000 deployments: none reads a table from end to end, or many
// rows that it does not need.
func TestStatementsUseIndexes(t *testing.T) {
	server := pgtest.Start(t, "session_preload_libraries=auto_explain", "auto_explain.log_min_duration=0", "auto_explain.log_analyze=on",
		"logging_collector=on", "log_directory=log", "log_filename=pg.log")
	log := filepath.Join(server.Dir, "data", "log", "pg.log")
	address := server.Database(t)
	s := openPostgres(t, address)
	defer s.Close()
	fill(t, address)
	// Its statements are not prepared: each plan is for the values that are asked for.
	watched, err := store.OpenPostgres(t.Context(), store.PostgresOptions{URL: address + "&default_query_exec_mode=exec"})
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Close()
	now := time.Now()
	all := func(name string, f func(tx controlplane.Tx) error) {
		t.Helper()
		if err := os.Truncate(log, 0); err != nil {
			t.Fatal(err)
		}
		if err := watched.Update(t.Context(), f); err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
		said := ""
		eventually(t, "the server says how it ran "+name, func() bool {
			b, err := os.ReadFile(log)
			said = string(b)
			return err == nil && strings.Contains(said, "Query Text: ")
		})
		removed := 0
		for _, m := range filtered.FindAllStringSubmatch(said, -1) {
			n, _ := strconv.Atoi(m[1])
			removed += n
		}
		if wholeTable.MatchString(said) || removed > 300 {
			t.Errorf("%s reads too much:\n%s", name, said)
		}
	}
	p := "project-77"
	d := "00000000-0000-4000-8000-000000000777"
	all("Project", func(tx controlplane.Tx) error { _, err := tx.Project(p); return err })
	all("ProjectBySubDomain", func(tx controlplane.Tx) error { _, err := tx.ProjectBySubDomain(p); return err })
	all("Projects", func(tx controlplane.Tx) error { _, err := tx.Projects("user-7", 0, 50); return err })
	all("Projects before", func(tx controlplane.Tx) error { _, err := tx.Projects("user-7", 1000, 50); return err })
	all("DeletedProjects", func(tx controlplane.Tx) error { _, err := tx.DeletedProjects(now); return err })
	all("DirtyProjects", func(tx controlplane.Tx) error { _, err := tx.DirtyProjects(500); return err })
	all("CollectableProjects", func(tx controlplane.Tx) error { _, err := tx.CollectableProjects(now, 100); return err })
	all("Deployment", func(tx controlplane.Tx) error { _, err := tx.Deployment(d); return err })
	all("DeploymentByHostID", func(tx controlplane.Tx) error { _, err := tx.DeploymentByHostID(p, "x"); return err })
	all("DeploymentByKey", func(tx controlplane.Tx) error { _, err := tx.DeploymentByKey("user-7", "k"); return err })
	all("Deployments of user", func(tx controlplane.Tx) error {
		_, err := tx.Deployments(controlplane.DeploymentQuery{UserID: "user-7", Limit: 51})
		return err
	})
	all("Deployments of project", func(tx controlplane.Tx) error {
		_, err := tx.Deployments(controlplane.DeploymentQuery{UserID: "user-7", Limit: 51, DeploymentFilter: controlplane.DeploymentFilter{ProjectID: p}})
		return err
	})
	all("Deployments by status", func(tx controlplane.Tx) error {
		_, err := tx.Deployments(controlplane.DeploymentQuery{UserID: "user-7", Limit: 51, DeploymentFilter: controlplane.DeploymentFilter{Status: controlplane.StatusFail}})
		return err
	})
	all("LatestDeployments", func(tx controlplane.Tx) error {
		_, err := tx.LatestDeployments([]string{p, "project-78", "project-79"})
		return err
	})
	all("NewestReady", func(tx controlplane.Tx) error { _, err := tx.NewestReady(p, ""); return err })
	all("NewestReady branch", func(tx controlplane.Tx) error { _, err := tx.NewestReady(p, "main"); return err })
	all("ActiveDeployments", func(tx controlplane.Tx) error { _, err := tx.ActiveDeployments(p); return err })
	all("AllDeployments", func(tx controlplane.Tx) error { _, err := tx.AllDeployments(p); return err })
	all("NextQueued", func(tx controlplane.Tx) error {
		_, err := tx.NextQueued(now, controlplane.QueueLimits{Total: 100, Project: 1})
		return err
	})
	all("Builds", func(tx controlplane.Tx) error { _, err := tx.Builds("", ""); return err })
	all("Builds project", func(tx controlplane.Tx) error { _, err := tx.Builds(p, ""); return err })
	all("Builds holder", func(tx controlplane.Tx) error { _, err := tx.Builds("", "h"); return err })
	all("Backlog", func(tx controlplane.Tx) error { _, err := tx.Backlog(); return err })
	all("Running", func(tx controlplane.Tx) error { _, err := tx.Running(); return err })
	all("RenewClaims", func(tx controlplane.Tx) error { return tx.RenewClaims("h", now) })
	all("Heard", func(tx controlplane.Tx) error { _, err := tx.Heard(d, 1, 5, now); return err })
	all("StaleUploads", func(tx controlplane.Tx) error { _, err := tx.StaleUploads(now); return err })
	all("WentLive", func(tx controlplane.Tx) error { _, err := tx.WentLive(now); return err })
	all("RemovedDeployments", func(tx controlplane.Tx) error { _, err := tx.RemovedDeployments(p); return err })
	all("KeptManifests", func(tx controlplane.Tx) error { _, err := tx.KeptManifests(p, true, 10); return err })
	all("Host", func(tx controlplane.Tx) error { _, err := tx.Host(p + ".example.test"); return err })
	all("HostsOfProject", func(tx controlplane.Tx) error { _, err := tx.HostsOfProject(p); return err })
	all("HostsOfDeployments", func(tx controlplane.Tx) error { _, err := tx.HostsOfDeployments([]string{d}); return err })
	all("ProductionHosts", func(tx controlplane.Tx) error { _, err := tx.ProductionHosts([]string{p}); return err })
	all("HostsWithPrevious", func(tx controlplane.Tx) error { _, err := tx.HostsWithPrevious(1000); return err })
	all("DirtyHosts", func(tx controlplane.Tx) error { _, err := tx.DirtyHosts(500); return err })
	all("Domains", func(tx controlplane.Tx) error { _, err := tx.Domains(p); return err })
	all("VerifiedDomain", func(tx controlplane.Tx) error { _, err := tx.VerifiedDomain("x"); return err })
	all("DueDomains", func(tx controlplane.Tx) error { _, err := tx.DueDomains(now, 50); return err })
	all("UnclaimedOwner", func(tx controlplane.Tx) error { _, err := tx.UnclaimedOwner(); return err })
	all("UserByEmail", func(tx controlplane.Tx) error { _, err := tx.UserByEmail("user-7@example.test"); return err })
	all("Session", func(tx controlplane.Tx) error { _, err := tx.Session("x"); return err })
	all("DeleteSessions", func(tx controlplane.Tx) error { return tx.DeleteSessions(now) })
	all("DeleteSessionsOf", func(tx controlplane.Tx) error { return tx.DeleteSessionsOf("user-7") })
	all("TokenByHash", func(tx controlplane.Tx) error { _, err := tx.TokenByHash("x"); return err })
	all("Tokens", func(tx controlplane.Tx) error { _, err := tx.Tokens("user-7"); return err })
	all("DeleteClaims", func(tx controlplane.Tx) error { return tx.DeleteClaims(now) })
	all("RunningDetections", func(tx controlplane.Tx) error { _, err := tx.RunningDetections(now); return err })
	all("DeleteDetections", func(tx controlplane.Tx) error { return tx.DeleteDetections(now) })
	all("EnvVars", func(tx controlplane.Tx) error { _, err := tx.EnvVars(p); return err })
	all("DeleteProject", func(tx controlplane.Tx) error { return tx.DeleteProject(p) })
}

func fill(t *testing.T, address string) {
	if err := exec(address, `
	INSERT INTO users SELECT 'user-'||n, 'user-'||n||'@example.test', 'n', 'h', 0, n FROM generate_series(1, 500) n`); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{`
	INSERT INTO projects (id, seq, user_id, name, sub_domain, custom_domain, git_url, production_branch, credentials, build, state, pinned, generation, published, collect_at, created_at, updated_at)
	SELECT 'project-'||n, n, 'user-'||(n%100), 'n', 'project-'||n, '', 'https://example.test/x.git', 'main', 'null', '{}', CASE WHEN n%100=0 THEN 'deleted' ELSE 'active' END, 0, n, n, CASE WHEN n%50=0 THEN 1 ELSE 0 END, n, n FROM generate_series(1, 400) n`, `
	INSERT INTO deployments
	SELECT '00000000-0000-4000-8000-'||lpad(n::text,12,'0'), 10000+n, lpad(n::text,8,'0'), 'project-'||(n%400+1), 'user-'||(n%500), CASE WHEN n%10=0 THEN 'files' ELSE 'git' END,
	  CASE WHEN n%10=3 THEN 'FAIL' WHEN n%1000=1 THEN 'QUEUED' WHEN n%2000=2 THEN 'IN_PROGRESS' WHEN n%50=7 THEN 'CANCELED' ELSE 'READY' END, '', CASE WHEN n%4=0 THEN 'production' ELSE 'preview' END, 0,0,1,1,'','[]','{}',
	  CASE WHEN n%4=0 THEN 'main' ELSE 'branch-'||(n%7) END,'','','m',0,'',100,100000,5,'[]','',0,'',0,'',0,'',n,n,3,CASE WHEN n%10=3 THEN 0 ELSE 1 END, (1700000000+n*100)::bigint*1000000,1,1,1,1,CASE WHEN n%20=11 THEN 5 ELSE 0 END
	FROM generate_series(1, 20000) n`, `
	INSERT INTO hosts (host, project_id, user_id, role, branch, deployment_id, previous, taken_seq, gone, protected_until, generation, published, published_at)
	SELECT lpad(n::text,8,'0')||'--project-'||(n%2000+1)||'.example.test', 'project-'||(n%400+1), 'user-'||(n%500), 'deployment','', '00000000-0000-4000-8000-'||lpad(n::text,12,'0'), 'null', n, CASE WHEN n%20=11 THEN 1 ELSE 0 END, 0, n, n, n FROM generate_series(1, 20000) n`, `
	INSERT INTO hosts (host, project_id, user_id, role, branch, deployment_id, previous, taken_seq, gone, protected_until, generation, published, published_at)
	SELECT 'project-'||n||'.example.test', 'project-'||n, 'user-'||(n%500), 'production','', '00000000-0000-4000-8000-'||lpad(n::text,12,'0'), CASE WHEN n%10=0 THEN '[{"deployment":"x"}]' ELSE '[]' END, n, 0, 0, n, n, n FROM generate_series(1, 400) n`, `
	INSERT INTO sessions SELECT 'hash-'||n, 'user-'||(n%500+1), n, n FROM generate_series(1, 5000) n WHERE n%500 <> 499`, `
	INSERT INTO tokens SELECT 'id-'||n, 'user-'||(n%500+1), 'hash-'||n, 'n', 1, 0, n, n FROM generate_series(1, 2000) n`, `
	ANALYZE`} {
		if err := exec(address, q); err != nil {
			t.Fatal(err)
		}
	}
}
