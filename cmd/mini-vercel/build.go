package main

import (
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder"
)

// newBuildCommand is a builder: what a runner starts, once for each attempt.
func newBuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "build",
		Short:  "Build one deployment; runners start this",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config := builder.FromEnviron()
			config.Version = version
			config.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			os.Exit(builder.Run(cmd.Context(), config))
			return nil
		},
	}
}

// passedOn are variables of this process that a builder gets: where programs
// and certificates are, and the way out. Nothing else of the platform's
// environment reaches it.
var passedOn = []string{
	"PATH", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}

// builderEnvironment is what a builder's environment holds besides its claim.
func builderEnvironment(s *Settings, dir *dataDir) []string {
	hidden := []string{dir.path}
	if path, err := credentialsPath(os.Getenv); err == nil {
		hidden = append(hidden, path)
	}
	env := []string{"BUILD_SANDBOX=" + s.BuildSandbox, "BUILD_HIDDEN=" + strings.Join(hidden, string(os.PathListSeparator))}
	for _, name := range passedOn {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
