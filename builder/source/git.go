package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Git runs the git program for one clone, kept apart from everything that could
// steer it: the machine's and the user's configuration, the environment, hooks,
// prompts.
type Git struct {
	Network Network
	Scratch string // a directory of the builder's own, where the builds' commands can't write

	// Say takes a line for the log.
	Say func(format string, args ...any)

	// FileBytes bounds a single file that git writes, MemoryBytes what one of
	// its processes allocates: a server may send anything. 0: no bound.
	FileBytes, MemoryBytes int64

	extraEnv []string // tests trust a certificate of their own
}

// session is git with the configuration for one repository.
type session struct {
	git        *Git
	repository *Repository
	env        []string
	dir        string // where it runs
}

func (g *Git) open(ctx context.Context, r *Repository, local bool, username, password string) (*session, error) {
	if err := gitVersion(); err != nil {
		return nil, err
	}
	addresses, err := g.Network.Pin(ctx, r, local)
	if err != nil {
		return nil, fmt.Errorf("the git URL can't be used: %w", err)
	}
	home, err := os.MkdirTemp(g.Scratch, "git-")
	if err != nil {
		return nil, fmt.Errorf("make git's home: %w", err)
	}
	config, err := writeConfig(home, r, addresses)
	if err != nil {
		return nil, err
	}
	s := &session{git: g, repository: r}
	s.env = []string{
		"HOME=" + home, "XDG_CONFIG_HOME=" + home, "PATH=" + searchPath(),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + config, "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_LFS_SKIP_SMUDGE=1", "GIT_TEMPLATE_DIR=",
		"LC_ALL=C",
	}
	for _, name := range []string{"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value := os.Getenv(name); value != "" { // where the operator keeps certificates
			s.env = append(s.env, name+"="+value)
		}
	}
	s.env = append(s.env, g.extraEnv...)
	if username != "" || password != "" {
		program, err := writeAskPass(home)
		if err != nil {
			return nil, err
		}
		if username == "" {
			username = "git" // what forges take beside a token
		}
		s.env = append(s.env, "GIT_ASKPASS="+program, "MINI_VERCEL_GIT_USERNAME="+username, "MINI_VERCEL_GIT_PASSWORD="+password)
	} else {
		s.env = append(s.env, "GIT_ASKPASS=/bin/false")
	}
	return s, nil
}

// leastGit is the first version that takes addresses from http.curloptResolve.
// An earlier one would ignore them, and look the name up by itself.
const leastGit = 37

// gitVersion says what is wrong with the git that is installed.
var gitVersion = sync.OnceValue(func() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "version")
	cmd.Env = []string{"PATH=" + searchPath(), "LC_ALL=C"}
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("git is not installed on the machine that builds: install git")
	}
	if err != nil {
		return fmt.Errorf("git on the machine that builds does not work: %w", err)
	}
	return checkVersion(string(out))
})

func checkVersion(said string) error {
	var major, minor int
	if _, err := fmt.Sscanf(said, "git version %d.%d", &major, &minor); err != nil || major < 2 || major == 2 && minor < leastGit {
		return fmt.Errorf("git on the machine that builds is too old (%.40q): install git 2.%d or later", strings.TrimSpace(said), leastGit)
	}
	return nil
}

func searchPath() string {
	if p := os.Getenv("PATH"); p != "" {
		return p
	}
	return "/usr/local/bin:/usr/bin:/bin"
}

func (s *session) close() { os.RemoveAll(s.home()) }

func (s *session) home() string { return strings.TrimPrefix(s.env[0], "HOME=") }

// gitError is what git said before it ended.
type gitError struct {
	command string
	said    string
	err     error
}

func (e *gitError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("git %s: %v", e.command, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.command, e.said)
}

func (e *gitError) Unwrap() error { return e.err }

const (
	maxGitOutput = 16 << 20
	maxGitSaid   = 8 << 10
)

// run runs git and returns what it prints.
func (s *session) run(ctx context.Context, args ...string) ([]byte, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	limits := ""
	if bytes := s.git.FileBytes; bytes > 0 {
		limits += fmt.Sprintf("ulimit -f %d && ", bytes/512) // POSIX has it in blocks of 512
	}
	if bytes := s.git.MemoryBytes; bytes > 0 {
		limits += fmt.Sprintf("ulimit -d %d && ", bytes/1024)
	}
	if limits != "" { // set before git starts its own children
		args = append([]string{"-c", limits + `exec "$@"`, "sh", program}, args...)
		program = "/bin/sh"
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = s.env
	cmd.Dir = s.dir
	if cmd.Dir == "" {
		cmd.Dir = s.home()
	}
	var out, said bounded
	out.limit, said.limit = maxGitOutput, maxGitSaid
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	// The word of the parent's death is sent when the thread ends that started
	// the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, &gitError{command: commandName(args), said: sentence(said.String()), err: err}
	}
	if out.over {
		return nil, fmt.Errorf("git %s: its output is over %d bytes", commandName(args), maxGitOutput)
	}
	return out.Bytes(), nil
}

func commandName(args []string) string {
	for i, arg := range args {
		if arg == "-c" || strings.HasPrefix(arg, "-") || i > 0 && args[i-1] == "-c" || filepath.IsAbs(arg) || arg == "sh" {
			continue
		}
		return arg
	}
	return ""
}

// sentence keeps of git's words the lines that say what is wrong.
func sentence(said string) string {
	var kept []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "warning:") || strings.HasPrefix(line, "hint:") {
			continue
		}
		kept = append(kept, strings.TrimPrefix(strings.TrimPrefix(line, "fatal: "), "error: "))
	}
	return strings.Join(kept, "; ")
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	bytes.Buffer
	limit int
	over  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); room < len(p) {
		b.over = true
		b.Buffer.Write(p[:room])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

// ReadFrom hides bytes.Buffer's, which has no bound.
func (b *bounded) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, r)
}
