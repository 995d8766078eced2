package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Command is one program to run.
type Command struct {
	// Args are the program, looked up in the command's PATH, and its arguments.
	Args []string
	// Dir is a directory in the workspace, relative to it.
	Dir string
	// Env are "NAME=value" pairs. HOME, TMPDIR, USER, LOGNAME, LANG, PATH and
	// NODE_EXTRA_CA_CERTS (the machine's own certificates, which Node would
	// ignore) are added where missing; nothing is inherited.
	Env []string
	// Stdout and Stderr take the output; nil discards it. If both are the same
	// writer it gets the two in order, from one goroutine.
	Stdout, Stderr io.Writer
	// Network asks for the internet.
	Network bool
	// ReadOnly shows more of the machine, a Node toolchain for instance.
	// What has a folder "bin" comes first in the added PATH.
	ReadOnly []Mount
}

// Mount shows a file or folder of the machine to a command, read-only.
type Mount struct {
	// Source is an absolute host path.
	Source string
	// Target is where ModeBubblewrap shows it; empty is the same path. Other
	// modes can't move it. A Source below [Config.Hidden] needs a Target.
	Target string
}

func (m Mount) target() string {
	if m.Target == "" {
		return m.Source
	}
	return m.Target
}

// Limit names a limit of [Limits].
type Limit string

const (
	LimitMemory    Limit = "memory"
	LimitProcesses Limit = "processes"
	LimitFileSize  Limit = "file size"
	LimitWorkspace Limit = "workspace"
)

// Result is how a command ended.
type Result struct {
	// ExitCode is the program's, or 128 plus the number of the signal that
	// ended it, as in a shell.
	ExitCode int
	// Exceeded is the limit that ended the command (memory, workspace), or
	// that it ran into before it failed; empty if none is known of.
	Exceeded Limit
	// PeakMemoryBytes is the most that all processes used together; 0 where
	// the machine can't tell.
	PeakMemoryBytes int64
	// Duration counts from the call of Run.
	Duration time.Duration
}

// Explain says in a sentence which limit ended the command; empty if none did.
func (l Limits) Explain(r Result) string {
	switch r.Exceeded {
	case LimitMemory:
		return "out of memory: the build used more than " + mebibytes(l.MemoryBytes)
	case LimitProcesses:
		return fmt.Sprintf("too many processes: the build started more than %d at once", l.Processes)
	case LimitFileSize:
		return "file too large: the build wrote a file of more than " + mebibytes(l.FileSizeBytes)
	case LimitWorkspace:
		return "out of disk space: the build wrote more than " + mebibytes(l.WorkspaceBytes)
	}
	return ""
}

func mebibytes(n int64) string {
	if n%(1<<20) != 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// suspect names the limit that a command which failed had run into.
func (s *Sandbox) suspect(r Result, g *group, kills bool) Limit {
	switch {
	case g.outOfMemory(), kills:
		return LimitMemory
	case g.forkRefused():
		return LimitProcesses
	case s.limits.FileSizeBytes > 0 && r.ExitCode == 128+int(syscall.SIGXFSZ):
		return LimitFileSize
	}
	return ""
}

// A name that a shell can't export could not be handed over in every mode.
var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (c Command) check() error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return errors.New("the command is empty")
	}
	if c.Dir != "" && !filepath.IsLocal(c.Dir) {
		return fmt.Errorf("the directory %q leaves the workspace", c.Dir)
	}
	for _, s := range append(slices.Concat(c.Args, c.Env), c.Dir) {
		if strings.ContainsRune(s, 0) {
			return errors.New("the command holds a NUL byte")
		}
	}
	for _, pair := range c.Env {
		if name, _, ok := strings.Cut(pair, "="); !ok || !envName.MatchString(name) {
			return fmt.Errorf("%q is no name for an environment variable", name)
		}
	}
	for _, m := range c.ReadOnly {
		if !filepath.IsAbs(m.Source) || !filepath.IsAbs(m.target()) {
			return fmt.Errorf("the path %q is not absolute", m.Source)
		}
	}
	return nil
}

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Where distributions keep the certificates they trust.
var certificateFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// environment is all that the command finds in its environment.
func (s *Sandbox) environment(c Command) []string {
	home, tmp := s.home(), s.tmp()
	inside := func(m Mount) string { return m.Source }
	if s.isolation.Mode == ModeBubblewrap {
		home, tmp = insideHome, insideTmp
		inside = Mount.target
	}
	var search []string
	for _, m := range append(slices.Clone(c.ReadOnly), toolchain()...) {
		if info, err := os.Stat(filepath.Join(m.Source, "bin")); err == nil && info.IsDir() {
			search = append(search, path.Join(inside(m), "bin"))
		} else if path.Base(m.Source) == "bin" {
			search = append(search, inside(m))
		}
	}
	defaults := []string{
		"HOME=" + home, "TMPDIR=" + tmp, "USER=build", "LOGNAME=build", "LANG=C.UTF-8",
		"PATH=" + strings.Join(append(search, systemPath), ":"),
	}
	for _, file := range certificateFiles {
		if _, err := os.Stat(file); err == nil {
			defaults = append(defaults, "NODE_EXTRA_CA_CERTS="+file)
			break
		}
	}
	env := slices.Clone(c.Env)
	for _, pair := range defaults {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.ContainsFunc(c.Env, func(given string) bool { return strings.HasPrefix(given, name+"=") }) {
			env = append(env, pair)
		}
	}
	return env
}
