package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// bench is one comparison: its files, and the processes that it started.
type bench struct {
	options
	dir       string // temporary
	files     []file
	servers   []server
	wide      server // this edge, for scenes with many hosts
	disk      server // this edge, with hardly any memory
	cold      string // address of this edge with a bucket at S3
	processes []*exec.Cmd
}

// server is one of those compared.
type server struct {
	name        string
	http, https string // host:port
	path        func(file) string
	command     string // for people
	protocols   string // "h1 h2 h3"

}

func newBench(o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "sidebyside-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, files: newFiles()}
	// nginx started by root reads as another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if err := b.writeSite(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// spawn starts a server on its core.
func (b *bench) spawn(command []string, env ...string) error {
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(b.serverCore)}, command...)...)
	cmd.Env = append(os.Environ(), append(env, "GOMAXPROCS=1")...)
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

// tuned are the settings of the garbage collector with which `mini-vercel edge`
// runs. The handlers that show what is possible have them too; file_server has
// those that it comes with.
var tuned = []string{"GOGC=400", "GOMEMLIMIT=1GiB"}

// spawnSelf starts this program in one of its roles.
func (b *bench) spawnSelf(role, name string, config any, env ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(b.dir, name+".json")
	encoded, err := json.Marshal(config)
	if err == nil {
		err = os.WriteFile(path, encoded, 0o600)
	}
	if err != nil {
		return err
	}
	home := filepath.Join(b.dir, name)
	return b.spawn([]string{self, role, path}, append(env, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)...)
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

func need(tool string) error {
	if _, err := exec.LookPath(tool); err != nil {
		pkg := map[string]string{"taskset": "util-linux", "h2load": "nghttp2-client", "nginx": "nginx-light", "wrk": "wrk"}[tool]
		return fmt.Errorf("%s is needed (Debian: apt-get install %s)", tool, pkg)
	}
	return nil
}
