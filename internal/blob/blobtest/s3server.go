package blobtest

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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// S3Server is an S3 service of a test's own: versitygw on a free port of
// loopback, in a directory that is removed after the test.
type S3Server struct {
	Endpoint        string
	AccessKeyID     string
	SecretAccessKey string

	program, dir string
	buckets      atomic.Int64
	kill         context.CancelFunc
	ended        chan struct{} // closed when the process has
}

// StartS3 starts a service, which ends with the test. Where versitygw is not
// installed the test is skipped; under CI=true it fails.
func StartS3(t testing.TB) *S3Server {
	t.Helper()
	program := s3Program(t)
	// Another program may take the port in between.
	for attempt := 1; ; attempt++ {
		s, err := startS3(t, program)
		if err == nil {
			return s
		}
		if attempt == 3 {
			t.Fatalf("start versitygw: %v", err)
		}
	}
}

// s3Program finds versitygw on the PATH, or where `make tools` puts it.
func s3Program(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path
	}
	for dir, err := os.Getwd(); err == nil && dir != "/"; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, ".cache", "bin", "versitygw")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	const missing = "versitygw is not installed: `make tools` installs it"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func startS3(t testing.TB, program string) (*S3Server, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &S3Server{Endpoint: "http://" + address, AccessKeyID: "test-key", SecretAccessKey: "test-secret", program: program, dir: t.TempDir()}
	t.Cleanup(s.Kill)
	return s, s.run(address)
}

// Start starts the service again after [S3Server.Kill], on the same port and
// with what it had kept.
func (s *S3Server) Start(t testing.TB) {
	t.Helper()
	if err := s.run(strings.TrimPrefix(s.Endpoint, "http://")); err != nil {
		t.Fatalf("start versitygw again: %v", err)
	}
}

// Kill ends the service as kill -9 does, and waits for it.
func (s *S3Server) Kill() {
	if s.kill != nil {
		s.kill()
		<-s.ended
	}
}

func (s *S3Server) run(address string) error {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, s.program, "--port", address, "--health", "/healthz", "--quiet", "--keep-alive", "posix", s.dir)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + s.AccessKeyID, "ROOT_SECRET_KEY=" + s.SecretAccessKey, "HOME=/nonexistent"}
	cmd.Stderr = os.Stderr
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
	s.kill, s.ended = cancel, ended
	if err := <-started; err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			return fmt.Errorf("it ended: %s", cmd.ProcessState)
		default:
		}
		resp, err := http.Get(s.Endpoint + "/healthz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// NewBucket makes an empty bucket and returns what opens it.
func (s *S3Server) NewBucket(t testing.TB) blob.S3Options {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	if _, err := s.client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return blob.S3Options{
		Bucket: name, Endpoint: s.Endpoint, Region: "us-east-1", AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey,
	}
}

func (s *S3Server) client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.Endpoint), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
}
