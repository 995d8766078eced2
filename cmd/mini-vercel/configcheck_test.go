package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
	"github.com/mini-vercel/mini-vercel/internal/dnslookup/dnstest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
	"github.com/mini-vercel/mini-vercel/internal/pebble"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
	"github.com/mini-vercel/mini-vercel/internal/supabase/supabasetest"
)

// asked is what becomes of one part of some settings.
func asked(t *testing.T, role, name string, env ...string) partState {
	t.Helper()
	s, err := Load(append([]string{"DATA_DIR=" + t.TempDir()}, env...))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.parts(role) {
		if p.name == name {
			return askParts(t.Context(), []part{p})[0]
		}
	}
	t.Fatalf("there is no part %q", name)
	return partState{}
}

// works and fails look for words in the line of a part, which has no secret.
func (state partState) works(t *testing.T, where, detail string) {
	t.Helper()
	if !state.OK || state.Error != "" || !strings.Contains(state.Where, where) || !strings.Contains(state.Detail, detail) {
		t.Errorf("%+v, want %q and %q", state, where, detail)
	}
	state.harmless(t)
}

func (state partState) fails(t *testing.T, words ...string) {
	t.Helper()
	for _, word := range words {
		if state.OK || !strings.Contains(state.Error, word) {
			t.Errorf("%+v lacks %q", state, word)
		}
	}
	state.harmless(t)
}

func (state partState) harmless(t *testing.T) {
	t.Helper()
	var line bytes.Buffer
	if err := writeParts(&line, []partState{state}, false); err != nil || strings.Count(line.String(), "\n") != 1 {
		t.Errorf("not one line: %q %v", line.String(), err)
	}
	for _, secret := range []string{"hush", "test-secret"} {
		if strings.Contains(line.String(), secret) {
			t.Errorf("a secret is told: %s", line.String())
		}
	}
}

func TestCheckOfLocalParts(t *testing.T) {
	asked(t, "", "data directory").works(t, "", "GiB free")
	asked(t, "", "data directory", "DATA_DIR="+t.TempDir()+"/a/b").works(t, "/a/b", "made at the first start")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	asked(t, "", "data directory", "DATA_DIR="+file).fails(t, "DATA_DIR="+file, "is no directory")
	asked(t, "", "data directory", "DATA_DIR=/proc/sys").fails(t, "DATA_DIR=/proc/sys", "can't write to")

	asked(t, "controlplane", "master key").works(t, "master.key", "made at the first start")
	asked(t, "", "master key", "MASTER_KEY=aHVzaA==").fails(t, "MASTER_KEY", "32 random bytes")
	asked(t, "", "master key", "MASTER_KEY="+strings.Repeat("A", 43)).works(t, "MASTER_KEY", "")
	damaged := t.TempDir()
	if err := os.WriteFile(damaged+"/master.key", []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked(t, "", "master key", "DATA_DIR="+damaged).fails(t, "is damaged")

	asked(t, "controlplane", "sandbox", "BUILD_SANDBOX=none").works(t, "this machine", "none; Builds are not isolated")
	t.Setenv("PATH", t.TempDir()) // without bubblewrap and setpriv
	asked(t, "controlplane", "sandbox").fails(t, "bwrap is not installed", "BUILD_SANDBOX=none")
}

func TestCheckOfTheResolver(t *testing.T) {
	server := dnstest.Start(t)
	server.Set(t, "sites.test", "TXT", `"here"`)
	server.Break("broken.test", dnstest.Refuse)
	env := "DNS_RESOLVER=" + server.Addr
	asked(t, "", "DNS resolver", env, "BASE_DOMAIN=sites.test").works(t, server.Addr, "answers for sites.test")
	asked(t, "", "DNS resolver", env, "BASE_DOMAIN=absent.test").works(t, server.Addr, "answers for absent.test")
	asked(t, "", "DNS resolver", env, "BASE_DOMAIN=broken.test").fails(t, "broken.test", "Correct DNS_RESOLVER")
}

func TestCheckOfTheCA(t *testing.T) {
	ca := pebble.Start(t, pebble.Options{})
	env := []string{"EDGE_TLS=acme", "BASE_DOMAIN=sites.test", "ACME_CA=" + ca.Directory}
	root := filepath.Join(t.TempDir(), "none.pem")
	asked(t, "edge", "ACME CA", append(env, "ACME_CA_ROOT="+ca.RootFile)...).works(t, ca.Directory, "")
	asked(t, "edge", "ACME CA", env...).fails(t, "ACME_CA", "certificate")
	asked(t, "edge", "ACME CA", append(env, "ACME_CA_ROOT="+root)...).fails(t, "ACME_CA_ROOT", "no such file")
	env[2] = strings.TrimSuffix(env[2], "/dir") + "/nothing"
	asked(t, "edge", "ACME CA", append(env, "ACME_CA_ROOT="+ca.RootFile)...).fails(t, "ACME_CA=", "not with the directory of a CA")
}

func TestCheckOfTheBuckets(t *testing.T) {
	asked(t, "controlplane", "bucket").works(t, "/bucket", "made at the first start")
	asked(t, "edge", "bucket").fails(t, "R2_BUCKET_NAME is not set", "DATA_DIR")

	server := blobtest.StartS3(t)
	good, certificates := server.NewBucket(t), server.NewBucket(t)
	env := func(o blob.S3Options, more ...string) []string {
		return append([]string{"R2_BUCKET_NAME=" + o.Bucket, "R2_ENDPOINT=" + o.Endpoint, "R2_ACCESS_KEY_ID=" + o.AccessKeyID, "R2_SECRET_ACCESS_KEY=" + o.SecretAccessKey}, more...)
	}
	t.Setenv("AWS_REGION", good.Region)
	asked(t, "controlplane", "bucket", env(good)...).works(t, good.Bucket, "can be written, uploads go straight to it")
	asked(t, "controlplane", "bucket", env(good, "R2_UPLOADS=relayed")...).works(t, good.Bucket, "through the control plane")
	asked(t, "edge", "bucket", env(good)...).works(t, good.Bucket, "can be read")
	bad := good
	bad.Bucket = "missing"
	asked(t, "edge", "bucket", env(bad)...).fails(t, "R2_BUCKET_NAME=missing", "no such bucket")
	bad = good
	bad.SecretAccessKey = "hush"
	asked(t, "edge", "bucket", env(bad)...).fails(t, "R2_ACCESS_KEY_ID", "access is denied")
	bad = good
	bad.Endpoint = "http://127.0.0.1:1"
	asked(t, "edge", "bucket", env(bad)...).fails(t, "R2_ENDPOINT", "connection refused")

	certs := []string{"CERTS_BUCKET_NAME=" + certificates.Bucket, "EDGE_SECRET=" + testSecret}
	asked(t, "edge", "certificates' bucket", env(good, certs...)...).works(t, certificates.Bucket, "can be written")
	asked(t, "edge", "certificates' bucket", env(good, "CERTS_BUCKET_NAME=missing", certs[1])...).fails(t, "CERTS_BUCKET_NAME=missing", "no such bucket")
	asked(t, "edge", "certificates' bucket", env(good, append(certs, "CERTS_ACCESS_KEY_ID=test-key", "CERTS_SECRET_ACCESS_KEY=hush")...)...).fails(t, "CERTS_ACCESS_KEY_ID", "access is denied")
	asked(t, "edge", "certificates' bucket", "CERTS_DIR="+t.TempDir(), certs[1]).works(t, "", "can be written")
	for _, bucket := range []blob.S3Options{good, certificates} {
		store, err := blob.OpenS3(t.Context(), bucket)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		for info, err := range store.List(t.Context(), "", blob.ListOptions{}) {
			t.Errorf("left behind: %s %v", info.Key, err)
		}
	}
}

// overwriting is a service that does not know conditions.
type overwriting struct{ *blob.Dir }

func (o overwriting) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (blob.Info, error) {
	opts.IfNoneMatch = false
	return o.Dir.Put(ctx, key, body, size, opts)
}

func TestAServiceMustKnowConditions(t *testing.T) {
	dir, err := blob.OpenDir(t.TempDir(), blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := tryWrites(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if err := tryWrites(t.Context(), overwriting{dir}); err == nil || !strings.Contains(err.Error(), "If-None-Match") {
		t.Errorf("got %v", err)
	}
}

func TestCheckOfTheDatabase(t *testing.T) {
	asked(t, "controlplane", "database").works(t, "mini-vercel.db", "SQLite, made at the first start")
	key := "MASTER_KEY=" + strings.Repeat("A", 43)
	address := pgtest.Database(t)
	asked(t, "controlplane", "database", "DATABASE_URL="+address, key).works(t, "database", "migrations that the next start makes")
	asked(t, "controlplane", "database", "DATABASE_URL="+address).fails(t, "MASTER_KEY is not set")
	s, err := Load([]string{"DATA_DIR=" + t.TempDir(), "DATABASE_URL=" + address, key})
	if err != nil {
		t.Fatal(err)
	}
	db, err := s.openStore(t.Context(), &dataDir{path: s.DataDir}) // a first start
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	asked(t, "controlplane", "database", "DATABASE_URL="+address, key).works(t, "database", "PostgreSQL")
	asked(t, "controlplane", "database", "DATABASE_URL="+address, "MASTER_KEY="+strings.Repeat("B", 42)+"A").fails(t, "MASTER_KEY: the database belongs to another master key")
	asked(t, "controlplane", "database", "DATABASE_URL=postgres://someone:hush@127.0.0.1:1/x?sslmode=disable", key).fails(t, "DATABASE_URL", "127.0.0.1:1")
}

func TestCheckOfClickHouse(t *testing.T) {
	server := clickhousetest.Start(t)
	env := []string{"CLICKHOUSE_HOST=" + server.Host, "CLICKHOUSE_PORT=" + strconv.Itoa(server.Port), "CLICKHOUSE_DATABASE=" + server.NewDatabase(), "CLICKHOUSE_USERNAME=" + server.Username, "CLICKHOUSE_PASSWORD=" + server.Password}
	asked(t, "controlplane", "logs", env...).works(t, server.Host, "ClickHouse 1")
	asked(t, "controlplane", "logs", append(env, "CLICKHOUSE_PASSWORD=hush")...).fails(t, "CLICKHOUSE_USERNAME, CLICKHOUSE_PASSWORD: ", "does not take the user")
	asked(t, "controlplane", "logs", append(env, "CLICKHOUSE_PORT=1")...).fails(t, "CLICKHOUSE_PORT", "can't be reached")
}

func TestCheckOfKafka(t *testing.T) {
	cluster := kafkatest.Shared(t)
	kafkaStart = time.Millisecond
	t.Cleanup(func() { kafkaStart = 5 * time.Second })
	env := []string{"KAFKA_BROKERS=" + strings.Join(cluster.SASL(), ","), "KAFKA_USERNAME=" + kafkatest.Username, "KAFKA_PASSWORD=" + kafkatest.Password, "KAFKA_TOPIC=check", "KAFKA_PARTITIONS=3"}
	asked(t, "controlplane", "build events", env...).works(t, cluster.SASL()[0], "brokers: 1, partitions of check: 3")
	asked(t, "controlplane", "build events", append(env, "KAFKA_PASSWORD=hush")...).fails(t, "KAFKA_PASSWORD")
	asked(t, "controlplane", "build events", append(env, "KAFKA_USERNAME="+kafkatest.LimitedUsername, "KAFKA_PASSWORD="+kafkatest.LimitedPassword, "KAFKA_TOPIC=unmade")...).fails(t, "KAFKA_TOPIC: a topic can't be used or made: unmade", "kafka-")
	asked(t, "controlplane", "build events", "KAFKA_BROKERS=127.0.0.1:1").fails(t, "KAFKA_BROKERS", "127.0.0.1:1")
}

func TestCheckOfSupabase(t *testing.T) {
	server := supabasetest.Start(t)
	env := []string{"SUPABASE_URL=" + server.URL, "SUPABASE_ANON_KEY=anon"}
	asked(t, "controlplane", "sign-in", env...).works(t, server.URL, "published keys: 1")
	server.Publish()
	asked(t, "controlplane", "sign-in", env...).fails(t, "SUPABASE_JWT_SECRET is not set", "no keys")
	asked(t, "controlplane", "sign-in", append(env, "SUPABASE_JWT_SECRET=hush"+strings.Repeat("x", 32))...).works(t, server.URL, "published keys: 0")
	server.Break(503)
	asked(t, "controlplane", "sign-in", env...).fails(t, "SUPABASE_URL", "503")
}

func TestConfigCheckOnTheCommandLine(t *testing.T) {
	t.Setenv("DATA_DIR", t.TempDir())
	t.Setenv("BUILD_SANDBOX", "none")
	server := dnstest.Start(t)
	t.Setenv("DNS_RESOLVER", server.Addr)
	check := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"config", "check"}, args...), nil, &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code, out, errs := check("controlplane"); code != 0 || strings.Contains(out, "FAILED") || !strings.Contains(out, "ok  DNS resolver") || errs != "" {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	code, out, errs := check("edge", "--json") // there is no bucket yet
	var states []partState
	if err := json.Unmarshal([]byte(out), &states); err != nil || code != 1 || len(states) != 2 || states[0].Name != "data directory" || !states[0].OK || states[1].OK || states[1].Error == "" || errs != "" {
		t.Errorf("%d %v\n%s%s", code, err, out, errs)
	}
	if code, _, errs := check("builder"); code != 2 || !strings.Contains(errs, "builder") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestHealth(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody answers there
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s, err := Load([]string{"LISTEN=0.0.0.0", "PORT=" + port})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.ownAddress(s.Port), "http://127.0.0.1:"+port; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for listen, want := range map[string]string{"::": "http://[::1]:9000", "localhost": "http://localhost:9000", "192.0.2.7": "http://192.0.2.7:9000"} {
		if got := (&Settings{Listen: listen}).ownAddress(9000); got != want {
			t.Errorf("%s: got %s, want %s", listen, got, want)
		}
	}
	for role, variable := range map[string]string{"controlplane": "PORT", "edge": "EDGE_PORT"} {
		t.Run(role, func(t *testing.T) {
			t.Setenv(variable, port)
			var stderr bytes.Buffer
			if code := run(t.Context(), []string{"health", role}, nil, &stderr, &stderr); code != 1 || !strings.Contains(stderr.String(), "does not answer") || !strings.Contains(stderr.String(), port) {
				t.Errorf("%d %s", code, stderr.String())
			}
		})
	}
}

func TestHealthOfWhatAnswers(t *testing.T) {
	for _, tt := range []struct {
		name          string
		status, below int
		alive         bool
	}{
		{"an edge has no such host", 404, 500, true},
		{"an edge redirects to HTTPS", 308, 500, true},
		{"an edge is broken", 500, 500, false},
		{"a control plane lives", 200, 300, true},
		{"something else is there", 404, 300, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }))
		defer server.Close()
		if err := askHealth(t.Context(), server.URL+"/", tt.below); (err == nil) != tt.alive {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
