package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bench is one comparison: its files, and the processes that it started.
type bench struct {
	options
	dir       string // temporary
	files     []file
	processes []*exec.Cmd
}

// file is what all servers serve.
type file struct {
	name     string // for the table
	onDisk   string // in the site's directory, and its URL at a plain file server
	edgePath string // its URL at the edge
	body     []byte
}

// server is one of those compared.
type server struct {
	name    string
	address string // host:port
	host    string // the Host header
	path    func(file) string
	command []string // for people
}

func newBench(ctx context.Context, o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "sidebyside-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir}
	page, large := make([]byte, 7680), make([]byte, 1<<20)
	_, _ = rand.Read(page) // never fails
	_, _ = rand.Read(large)
	b.files = []file{
		{"10 KiB page", "/page.html", "/page", []byte(base64.StdEncoding.EncodeToString(page))},
		{"1 MiB file", "/file.bin", "/file.bin", large},
	}
	err = os.Mkdir(b.site(), 0o755)
	for _, f := range append(b.files, file{onDisk: "/index.html", body: []byte("hi\n")}) {
		err = errors.Join(err, os.WriteFile(filepath.Join(b.site(), f.onDisk), f.body, 0o644))
	}
	// nginx started by root reads as another user.
	err = errors.Join(err, os.Chmod(dir, 0o755), ctx.Err())
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) site() string { return filepath.Join(b.dir, "site") }

// spawn starts a server on its core.
func (b *bench) spawn(command []string, env ...string) error {
	args := append([]string{"-c", strconv.Itoa(b.serverCore)}, command...)
	cmd := exec.Command("taskset", args...)
	cmd.Env = append(os.Environ(), env...)
	if b.verbose {
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	}
	// A group of its own, so that Ctrl-C reaches the servers through close.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", command[0], err)
	}
	b.processes = append(b.processes, cmd)
	return nil
}

// close stops the servers and removes the files.
func (b *bench) close() {
	for _, cmd := range b.processes {
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, cmd := range b.processes {
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // how a server ends changes no result
		timer.Stop()
	}
	if err := os.RemoveAll(b.dir); err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside:", err)
	}
}

// compare makes sure that every server sends the very same bytes.
func (b *bench) compare(ctx context.Context, servers []server) error {
	for _, s := range servers {
		for _, f := range b.files {
			if err := eventually(ctx, func() error { return fetch(ctx, s, f) }); err != nil {
				return fmt.Errorf("%s does not serve the %s: %w", s.name, f.name, err)
			}
		}
	}
	return nil
}

func fetch(ctx context.Context, s server, f file) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+s.path(f), nil)
	if err != nil {
		return err
	}
	req.Host = s.host
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body, f.body) {
		return fmt.Errorf("%s with %d bytes, want %d", resp.Status, len(body), len(f.body))
	}
	return nil
}

// eventually tries until it succeeds, for at most half a minute.
func eventually(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// freePort finds a port that nothing listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

func need(tool string) error {
	if _, err := exec.LookPath(tool); err != nil {
		return fmt.Errorf("%s is needed (Debian: apt-get install %s)", tool, map[string]string{"taskset": "util-linux"}[tool]+strings.TrimSuffix(tool, "taskset"))
	}
	return nil
}
