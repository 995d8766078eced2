package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
)

// Files of the data directory.
const (
	databaseName = "mini-vercel.db"
	logsName     = "logs.db"
)

func newUserCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Mend accounts, in the database itself",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("what is to be done? `mini-vercel user reset-password`, `link`, `disable` or `enable`, and the account's EMAIL")
		},
	}
	f := &serverFlags{}
	reset := &cobra.Command{
		Use:   "reset-password EMAIL",
		Short: "Give an account a new password",
		Long: `Reset-password asks for a new password, or reads it from standard input, and ends
the account's sessions; its API tokens stay. ` + offline,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.settings(cmd)
			if err != nil {
				return err
			}
			return resetPassword(cmd, s, args[0])
		},
	}
	link := &cobra.Command{
		Use:   "link EMAIL",
		Short: "Make a link by which a Supabase user takes an account over",
		Long: `Link prints a link, good once. Whoever opens it and signs in by Supabase signs in to
the account from then on, instead of whoever did before; its API tokens stay. ` + offline,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.settings(cmd)
			if err != nil {
				return err
			}
			return linkUser(cmd, s, args[0])
		},
	}
	c.AddCommand(reset, link, newUserAccessCommand(f, "disable", true), newUserAccessCommand(f, "enable", false))
	for _, command := range c.Commands() {
		command.Flags().StringVar(&f.data, "data", "", "directory of the embedded parts (default ./data)")
	}
	return c
}

const offline = `It opens the database itself: stop the
control plane first, unless DATABASE_URL is set.`

// newUserAccessCommand takes an account's access away, or gives it back.
func newUserAccessCommand(f *serverFlags, name string, disabled bool) *cobra.Command {
	c := &cobra.Command{
		Use:   name + " EMAIL",
		Short: "Give an account's access back",
		Long:  "Enable lets an account sign in again. Tokens that it had are good again, too. " + offline,
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.settings(cmd)
			if err != nil {
				return err
			}
			return withAccounts(cmd, s, func(ctx context.Context, accounts *controlplane.Accounts) error {
				if err := accounts.Disable(ctx, args[0], disabled); err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "The account %s is %sd\n", harmless(args[0], false), name)
				return nil
			})
		},
	}
	if disabled {
		c.Short = "Take an account's access away"
		c.Long = `Disable ends an account's sessions, refuses its API tokens, and lets nobody sign in to
it. Its projects stay, and go on being served. ` + offline
	}
	return c
}

// withAccounts does something to the accounts; a control plane must not have
// the file open.
func withAccounts(cmd *cobra.Command, s *Settings, f func(context.Context, *controlplane.Accounts) error) (err error) {
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
	db, err := s.openStore(cmd.Context(), dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	verifier, err := s.verifier(s.newLogger())
	if err != nil {
		return err
	}
	return f(cmd.Context(), controlplane.NewAccounts(controlplane.AccountsConfig{Supabase: verifier}, db))
}

func linkUser(cmd *cobra.Command, s *Settings, email string) error {
	public := s.PublicURL
	if public == "" {
		public = fmt.Sprintf("http://localhost:%d", s.Port)
	}
	address, err := url.Parse(public)
	if err != nil {
		return fmt.Errorf("PUBLIC_URL=%s: %w", public, err)
	}
	return withAccounts(cmd, s, func(ctx context.Context, accounts *controlplane.Accounts) error {
		link, err := accounts.Link(ctx, email)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), api.SignUpURL(address, link.Code))
		fmt.Fprintf(cmd.ErrOrStderr(), "Whoever opens this and signs in by Supabase gets the account %s; good once, until %s\n",
			harmless(email, false), link.ExpiresAt.Format(time.RFC3339))
		return nil
	})
}

func resetPassword(cmd *cobra.Command, s *Settings, email string) error {
	if s.SupabaseURL != "" {
		return errors.New("SUPABASE_URL is set: people sign in by Supabase, and change their passwords there")
	}
	return withAccounts(cmd, s, func(ctx context.Context, accounts *controlplane.Accounts) error {
		password, err := newPassword(cmd)
		if err != nil {
			return err
		}
		if err := accounts.ResetPassword(ctx, email, password); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "The password of %s is changed, and its sessions are ended\n", harmless(email, false))
		return nil
	})
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
