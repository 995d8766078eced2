package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// databaseName is the database's file in the data directory.
const databaseName = "mini-vercel.db"

func newUserCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Mend accounts, on the machine that has the data directory",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("what is to be done? `mini-vercel user reset-password EMAIL`")
		},
	}
	f := &serverFlags{}
	reset := &cobra.Command{
		Use:   "reset-password EMAIL",
		Short: "Give an account a new password",
		Long: `Reset-password asks for a new password, or reads it from standard input, and ends
the account's sessions; its API tokens stay. It opens the database itself: stop the
control plane first, unless DATABASE_URL is set.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.settings(cmd)
			if err != nil {
				return err
			}
			return resetPassword(cmd, s, args[0])
		},
	}
	reset.Flags().StringVar(&f.data, "data", "", "directory of the embedded parts (default ./data)")
	c.AddCommand(reset)
	return c
}

func resetPassword(cmd *cobra.Command, s *Settings, email string) (err error) {
	if s.DatabaseURL == "" && !exists(s.DataDir, databaseName) {
		return fmt.Errorf("%s has no database: name the control plane's data directory with --data, or set DATABASE_URL", s.DataDir)
	}
	var dir *dataDir
	if s.DatabaseURL == "" { // PostgreSQL may be used while control planes run
		if dir, err = openDataDir(s.DataDir); err != nil {
			return err
		}
		defer dir.Close()
	}
	password, err := newPassword(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	db, err := s.openStore(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := controlplane.NewAccounts(controlplane.AccountsConfig{}, db).ResetPassword(ctx, email, password); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The password of %s is changed, and its sessions are ended\n", harmless(email, false))
	return nil
}

// newPassword asks for a password, twice where nobody sees what is typed.
func newPassword(cmd *cobra.Command) (string, error) {
	password, err := askSecret(cmd, "New password: ")
	if err != nil || !isTerminal(cmd.InOrStdin()) {
		return password, err
	}
	again, err := askSecret(cmd, "Once more: ")
	if err == nil && again != password {
		err = errors.New("the two passwords differ: nothing was changed")
	}
	return password, err
}
