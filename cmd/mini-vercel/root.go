package main

import (
	"github.com/spf13/cobra"
)

// newRootCommand puts the command line together.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "mini-vercel",
		Short: "Deploy folders and repositories, and run the platform that serves them",
		Long: `Mini-Vercel turns a git push or a folder into a live site, on your own machines.

  mini-vercel up                     start everything on this machine
  mini-vercel deploy ./my-site       put a folder online
  mini-vercel deploy --git URL       build a repository and put it online

Exit codes: 0 done, 1 failed, 2 used wrongly.`,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, cmd.CommandPath())
	})
	root.AddGroup(
		&cobra.Group{ID: "client", Title: "Client:"},
		&cobra.Group{ID: "server", Title: "Servers:"},
	)
	add(root, "client",
		newLoginCommand(),
		newDeployCommand(),
		newProjectsCommand(),
		newDomainsCommand(),
		newListCommand(),
		newLogsCommand(),
		newPromoteCommand(),
		newRollbackCommand(),
		newResumeCommand(),
		newCancelCommand(),
		newRetryCommand(),
		newSettingsCommand(),
		newRulesCommand(),
		newExplainCommand(),
		newManifestCommand(),
		newAccessCommand(),
		newShareCommand(),
		newSuspendCommand(),
		newUnsuspendCommand(),
	)
	add(root, "server",
		newUpCommand(),
		newEdgeCommand(),
		newControlPlaneCommand(),
		newBuildCommand(),
		newUserCommand(),
		newBackupCommand(),
		newRestoreCommand(),
		newRebuildCommand(),
		newGCCommand(),
		newDatabaseCommand(),
		newConfigCommand(),
		newHealthCommand(),
	)
	return root
}

func add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		c.Args = usageArgs(c.Args)
		root.AddCommand(c)
	}
}
