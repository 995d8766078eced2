package main

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/mini-vercel/mini-vercel/builder/sandbox"
	"github.com/mini-vercel/mini-vercel/internal/mototest"
)

// onECS are settings that will do, and changes to them.
func onECS(changes ...string) []string {
	return append([]string{"ECS_CLUSTER_NAME=builds", "ECS_TASK_DEFINITION=builder", "ECS_SUBNETS=subnet-1, subnet-2", "ECS_SECURITY_GROUPS=sg-1", "PUBLIC_URL=https://deploy.example.org"}, changes...)
}

func TestSettingsOfECS(t *testing.T) {
	for _, row := range []struct {
		env  []string
		says string // none: they are taken
	}{
		{onECS(), ""},
		{onECS("ECS_LAUNCH_TYPE=FARGATE_SPOT", "ECS_ASSIGN_PUBLIC_IP=ENABLED", "ECS_COUNT=1"), ""},
		{onECS("ECS_ASSIGN_PUBLIC_IP=true", "BUILDER_URL=http://10.0.0.7:9000"), ""},
		{onECS("ECS_LAUNCH_TYPE=EC2", "ECS_SUBNETS=", "ECS_SECURITY_GROUPS="), ""},
		{onECS("PUBLIC_URL=http://localhost:9000", "BUILDER_URL=https://deploy.example.org"), ""},
		{onECS("ECS_TASK_DEFINITION="), "ECS_TASK_DEFINITION"},
		{onECS("ECS_SUBNETS= ,"), "ECS_SUBNETS"},
		{onECS("ECS_LAUNCH_TYPE=EXTERNAL"), "ECS_LAUNCH_TYPE"},
		{onECS("ECS_LAUNCH_TYPE=EC2", "ECS_SUBNETS="), "ECS_SECURITY_GROUPS"},
		{onECS("ECS_SECURITY_GROUPS="), "ECS_SECURITY_GROUPS"},
		{onECS("ECS_LAUNCH_TYPE=EC2", "ECS_SECURITY_GROUPS= ,"), "ECS_SECURITY_GROUPS"},
		{onECS("ECS_ASSIGN_PUBLIC_IP=perhaps"), "ECS_ASSIGN_PUBLIC_IP"},
		{onECS("ECS_COUNT=0"), "ECS_COUNT"},
		{onECS("ECS_COUNT=-1"), "ECS_COUNT"},
		{onECS("PUBLIC_URL="), "BUILDER_URL"},
		{onECS("PUBLIC_URL=http://localhost:9000"), "PUBLIC_URL=http://localhost:9000: tasks of ECS can't reach"},
		{onECS("BUILDER_URL=http://127.0.0.1:9000"), "BUILDER_URL=http://127.0.0.1"},
		{onECS("BUILDER_URL=http://127.9.9.9"), "BUILDER_URL"},
		{onECS("BUILDER_URL=http://[::1]:9000"), "BUILDER_URL"},
		{onECS("BUILDER_URL=http://0.0.0.0:9000"), "BUILDER_URL"},
		{onECS("BUILDER_URL=http://169.254.169.254"), "BUILDER_URL"},
		{onECS("BUILDER_URL=http://x.localhost"), "BUILDER_URL"},
		{onECS("BUILDER_URL=deploy.example.org"), "BUILDER_URL"},
		{onECS("BUILDER_URL=https://deploy.example.org/api"), "BUILDER_URL"},
		{onECS("BUILDER_URL=https://" + strings.Repeat("a.", 126) + "a:65535"), ""}, // 253 characters
		{onECS("BUILDER_URL=https://" + strings.Repeat("a.", 126) + "aa"), "BUILDER_URL: the name of its host has 254"},
		{onECS("PUBLIC_URL=https://" + strings.Repeat("a.", 9000) + "a"), "PUBLIC_URL: the name of its host has 18001"},
		{onECS("R2_BUCKET_NAME=x", "R2_ENDPOINT=http://localhost:9001", "R2_ACCESS_KEY_ID=a", "R2_SECRET_ACCESS_KEY=b", "R2_UPLOADS=relayed"), ""},
		{onECS("R2_BUCKET_NAME=x", "R2_ENDPOINT=http://localhost:9001", "R2_ACCESS_KEY_ID=a", "R2_SECRET_ACCESS_KEY=b"), "R2_ENDPOINT"},
		{[]string{"ECS_TASK_DEFINITION=builder"}, "ECS_CLUSTER_NAME"},
		{[]string{"ECS_SUBNETS=subnet-1"}, "ECS_CLUSTER_NAME"},
		{[]string{"ECS_SECURITY_GROUPS=sg-1"}, "ECS_CLUSTER_NAME"},
		{[]string{"BUILDER_URL=https://deploy.example.org"}, "ECS_CLUSTER_NAME"},
	} {
		_, err := Load(row.env)
		switch {
		case row.says == "" && err != nil:
			t.Errorf("%v: %v", row.env, err)
		case row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%v: the error does not name %s in one line: %v", row.env, row.says, err)
		}
	}
}

// TestBuildsAtOnce are a machine's cores, or the tasks of the fleet.
func TestBuildsAtOnce(t *testing.T) {
	for _, row := range []struct {
		env  []string
		want int
	}{
		{nil, runtime.NumCPU()},
		{[]string{"BUILD_COUNT=7"}, 7},
		{onECS(), 10},
		{onECS("ECS_COUNT=50"), 50},
		{onECS("ECS_COUNT=50", "BUILD_COUNT=7"), 7},
		{onECS("ECS_COUNT=5", "BUILD_COUNT=7"), 5},
	} {
		s, err := Load(row.env)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.buildsAtOnce(); got != row.want {
			t.Errorf("%v: %d builds at once, want %d", row.env, got, row.want)
		}
	}
}

// buildersOf opens the builders of some settings, with AWS at an endpoint.
func buildersOf(t *testing.T, endpoint string, env ...string) (*builders, error) {
	t.Helper()
	for _, pair := range mototest.Environ(endpoint) {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	s, err := Load(append([]string{"DATA_DIR=" + t.TempDir(), "PORT=0", "METRICS_ADDR=off"}, env...))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := openDataDir(s.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	listener, err := listen(s.Listen, s.Port, "PORT")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p := &controlPlane{settings: s, dir: dir, log: s.newLogger(), listener: listener}
	b, err := p.openBuilders(t.Context(), make([]byte, 32))
	if err == nil {
		t.Cleanup(b.close)
	}
	return b, err
}

func TestAStartAsksECS(t *testing.T) {
	server := mototest.Start(t)
	proxy := server.NewProxy(t)
	server.NewCluster(t, "builds")
	role := "arn:aws:iam::123456789012:role/builder"
	server.NewCluster(t, "with-role", func(d *ecs.RegisterTaskDefinitionInput) { d.TaskRoleArn = &role })
	for _, row := range []struct {
		name, says string
		env        []string
		fault      *mototest.Fault
	}{
		{"all is well", "", onECS("ECS_TASK_DEFINITION=builds"), nil},
		{"no cluster", "ECS_CLUSTER_NAME=nowhere", onECS("ECS_CLUSTER_NAME=nowhere"), nil},
		{"no task definition", "ECS_TASK_DEFINITION=nothing", onECS("ECS_TASK_DEFINITION=nothing"), nil},
		{"a task role", "taskRoleArn", onECS("ECS_TASK_DEFINITION=with-role"), nil},
		{"credentials", "AWS does not take the credentials", onECS(), &mototest.Fault{Status: 400, Code: "InvalidSignatureException", Says: "The request signature we calculated does not match"}},
		{"AWS is away", "", onECS("ECS_TASK_DEFINITION=builds"), &mototest.Fault{Status: http.StatusServiceUnavailable, Code: "ServerException"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.fault != nil {
				for range 20 {
					proxy.Fail("DescribeClusters", *row.fault)
				}
				defer proxy.NoFaults()
			}
			b, err := buildersOf(t, proxy.URL, row.env...)
			s, loadErr := Load(row.env)
			if loadErr != nil {
				t.Fatal(loadErr)
			}
			state := askParts(t.Context(), []part{s.tasksPart()})[0]
			if away := row.fault != nil && row.says == ""; state.OK != (row.says == "" && !away) || !strings.Contains(state.Error+state.Detail, row.says) {
				t.Errorf("config check says %+v", state)
			}
			if row.says != "" {
				if err == nil || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || !b.runner.Survives() || b.url != "https://deploy.example.org" || b.claimTime <= 0 || b.detectTime <= 0 {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
}

// TestIsolationOnECS needs nothing of this machine: builds run elsewhere.
func TestIsolationOnECS(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no bubblewrap, no setpriv
	for _, row := range []struct {
		env      []string
		mode     sandbox.Mode
		isolated bool
		network  string
	}{
		{onECS(), sandbox.ModeTask, true, "security groups"},
		{onECS("BUILD_SANDBOX=none"), sandbox.ModeNone, false, "shared"},
	} {
		s, err := Load(row.env)
		if err != nil {
			t.Fatal(err)
		}
		i := probe(t.Context(), s)
		if i.Mode != row.mode || i.Isolated() != row.isolated || !strings.Contains(describe(s, i).Network, row.network) {
			t.Errorf("%v: %+v, %+v", row.env, i, describe(s, i))
		}
	}
}
