package mototest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Region is where everything is, the buckets of tests included.
const Region = "us-east-1"

// Server is a moto of a test's own, on a free port of loopback.
type Server struct{ Endpoint string }

// Start starts a server, which ends with the test. Where moto is not installed
// the test is skipped; under CI=true it fails.
func Start(t testing.TB) *Server {
	t.Helper()
	program := Program(t, "moto_server")
	// Another program may take the port in between.
	for attempt := 1; ; attempt++ {
		s, err := start(t, program)
		if err == nil {
			return s
		}
		if attempt == 3 {
			t.Fatalf("start moto: %v", err)
		}
	}
}

// Program finds one of the programs that come with moto, where `make engines`
// puts them.
func Program(t testing.TB, name string) string {
	t.Helper()
	for dir, err := os.Getwd(); err == nil && dir != "/"; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, ".cache", "moto", "bin", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	missing := name + " is not installed: `make engines` installs it"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func start(t testing.TB, program string) (*Server, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &Server{Endpoint: "http://" + net.JoinHostPort(host, port)}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-H", host, "-p", port)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	// It ends even where this process is killed: with the thread that started it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it was killed
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	if err := <-started; err != nil {
		return nil, err
	}
	// Tasks run until they are stopped, however often they are looked at.
	const transition = `{"model_name": "ecs::task", "transition": {"progression": "manual", "times": 1000000000}}`
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		select {
		case <-ended:
			return nil, fmt.Errorf("it ended: %s", cmd.ProcessState)
		default:
		}
		resp, err := http.Post(s.Endpoint+"/moto-api/state-manager/set-transition", "application/json", strings.NewReader(transition))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode/100 == 2 {
				return s, nil
			}
			err = fmt.Errorf("it answers %s", resp.Status)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// Environ are the SDK's settings for an endpoint: the server's or a proxy's.
func Environ(endpoint string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=" + Region, "AWS_ACCESS_KEY_ID=test-key", "AWS_SECRET_ACCESS_KEY=test-secret",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent",
	}
}

// Client makes a client of the server, for what a test prepares.
func (s *Server) Client() *ecs.Client {
	return ecs.New(ecs.Options{
		BaseEndpoint: aws.String(s.Endpoint), Region: Region,
		Credentials: credentials.NewStaticCredentialsProvider("test-key", "test-secret", ""),
	})
}

// Definition is a task definition as deploy/ecs has it, as far as it matters.
func Definition(family string) *ecs.RegisterTaskDefinitionInput {
	return &ecs.RegisterTaskDefinitionInput{
		Family: &family, NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("2048"), Memory: aws.String("8192"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ExecutionRoleArn:        aws.String("arn:aws:iam::123456789012:role/mini-vercel-execution"),
		EphemeralStorage:        &types.EphemeralStorage{SizeInGiB: 40},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("builder"), Image: aws.String("registry.example.com/mini-vercel-builder:1"), Essential: aws.Bool(true), Memory: aws.Int32(4096),
			LinuxParameters: &types.LinuxParameters{InitProcessEnabled: aws.Bool(true)},
		}},
	}
}

// NewCluster makes a cluster, and a task definition of the same name.
func (s *Server) NewCluster(t testing.TB, name string, change ...func(*ecs.RegisterTaskDefinitionInput)) {
	t.Helper()
	if _, err := s.Client().CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &name, CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}}); err != nil {
		t.Fatal(err)
	}
	definition := Definition(name)
	for _, c := range change {
		c(definition)
	}
	if _, err := s.Client().RegisterTaskDefinition(t.Context(), definition); err != nil {
		t.Fatal(err)
	}
}
