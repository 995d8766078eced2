package builder

import (
	"log/slog"
	"os"
	"path/filepath"
)

// Config is what a builder is started with.
type Config struct {
	URL        string   // of the control plane
	Claim      string   // the one-use token for the job
	Workspace  string   // a directory for this build alone, which the starter removes; none: one is made
	Sandbox    string   // how commands are isolated, see [sandbox.Config]
	Hidden     []string // what no command may see of the machine, see [sandbox.Config]
	SideBySide string   // where programs are in several versions, as sideBySide says; none: there
	Version    string   // of the program, for the User-Agent
	Log        *slog.Logger
}

// The variables that a builder is started with.
const (
	envURL       = "MINI_VERCEL_URL"
	envClaim     = "MINI_VERCEL_CLAIM"
	envWorkspace = "MINI_VERCEL_WORKSPACE"
	envSandbox   = "BUILD_SANDBOX"
	envHidden    = "BUILD_HIDDEN" // paths, separated as in PATH
)

// FromEnviron reads the configuration from the process's environment, and
// removes it there: nothing that the builder starts may inherit it.
func FromEnviron() Config {
	take := func(name string) string {
		value := os.Getenv(name)
		_ = os.Unsetenv(name) // fails for impossible names only
		return value
	}
	return Config{
		URL: take(envURL), Claim: take(envClaim), Workspace: take(envWorkspace), Sandbox: take(envSandbox),
		Hidden: filepath.SplitList(take(envHidden)),
	}
}
