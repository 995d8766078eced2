package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func newRestoreCommand() *cobra.Command {
	return recoverCommand(&cobra.Command{
		Use:   "restore FILE",
		Short: "Fill an empty database with a backup, and bring it up to the bucket",
		Long: `Restore fills the database of the settings (DATABASE_URL, or DATA_DIR's), which must
be empty, with a backup; - is standard input. It is all or nothing. What was
published since the backup is taken from the bucket, and what was removed since
stays removed, so that visitors see no change. Deployments that had not ended are
canceled. The master key must be the one that the backup was made with. Nothing
else may run on the database; start the control plane afterwards, which publishes
everything again.`,
		Args: cobra.ExactArgs(1),
	}, func(cmd *cobra.Command, args []string, s *controlplane.Service, o controlplane.RecoverOptions) (*controlplane.Recovery, error) {
		file, err := openBackup(cmd, args[0])
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return s.Restore(cmd.Context(), file, o)
	})
}

func newRebuildCommand() *cobra.Command {
	return recoverCommand(&cobra.Command{
		Use:   "rebuild-from-bucket",
		Short: "Make a lost database anew from the bucket alone",
		Long: `Rebuild-from-bucket fills the database of the settings (DATABASE_URL, or DATA_DIR's),
which must be empty, with what the bucket says: projects with their settings,
ready deployments, routes, pins, domains, protection, tombstones. It is all or
nothing, and visitors see no change. What is in the database alone is lost, and
reported: environment variables, git credentials, accounts and tokens, logs of an
embedded log store. Where there is a backup, restore it instead.

Where all projects had one owner, whoever opens the setup link that the next
start prints becomes that owner. Else each owner gets an account that
"mini-vercel user reset-password" opens, or with --one-owner all projects go to
the first owner.`,
		Args: cobra.NoArgs,
	}, func(cmd *cobra.Command, _ []string, s *controlplane.Service, o controlplane.RecoverOptions) (*controlplane.Recovery, error) {
		return s.Rebuild(cmd.Context(), o)
	})
}

func recoverCommand(c *cobra.Command, run func(*cobra.Command, []string, *controlplane.Service, controlplane.RecoverOptions) (*controlplane.Recovery, error)) *cobra.Command {
	f := &serverFlags{}
	o := controlplane.RecoverOptions{}
	var asJSON bool
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := f.settings(cmd)
		if err != nil {
			return err
		}
		shown := &recoveryProgress{out: cmd.ErrOrStderr(), live: isTerminal(cmd.ErrOrStderr())}
		o.Progress = shown.report
		var report *controlplane.Recovery
		err = withDatabase(cmd.Context(), s, s.openAnyStore, func(service *controlplane.Service) (err error) {
			report, err = run(cmd, args, service, o)
			return err
		})
		shown.end()
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), report)
		}
		writeRecovery(cmd.OutOrStdout(), report, o.DryRun)
		return nil
	}
	c.Flags().StringVar(&f.data, "data", "", "directory of the embedded parts (default ./data)")
	c.Flags().StringVar(&f.baseDomain, "base-domain", "", "domain below which sites get their hosts (default localhost)")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "report what would be done, and do nothing")
	c.Flags().BoolVar(&o.OneOwner, "one-owner", false, "give all projects of lost accounts to the first owner")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// openBackup opens a backup that can be read twice.
func openBackup(cmd *cobra.Command, name string) (*os.File, error) {
	if name != "-" {
		return os.Open(name)
	}
	file, err := os.CreateTemp("", "mini-vercel-backup-*") // 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil { // it goes with the process
		return nil, errors.Join(err, file.Close())
	}
	_, err = io.Copy(file, cmd.InOrStdin())
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep the backup for a second look: %w", err), file.Close())
	}
	return file, nil
}

// recoveryProgress shows how far the bucket is read, in one line on a terminal.
type recoveryProgress struct {
	out  io.Writer
	live bool

	mu   sync.Mutex
	step string
	done int
}

func (p *recoveryProgress) report(step string, done int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if step != p.step {
		p.flush()
	}
	p.step, p.done = step, done
	if p.live {
		fmt.Fprintf(p.out, "\r\x1b[KReading %s from the bucket: %d", step, done)
	}
}

func (p *recoveryProgress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}

func (p *recoveryProgress) flush() {
	if p.step == "" {
		return
	}
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, "Read %d %s from the bucket\n", p.done, p.step)
	p.step = ""
}

func writeRecovery(w io.Writer, r *controlplane.Recovery, dry bool) {
	if r.Backup != nil {
		fmt.Fprintf(w, "Backup of %s: %d rows\n", r.Backup.MadeAt.Format("2006-01-02 15:04:05 MST"), r.Backup.Rows)
	}
	fmt.Fprintf(w, "From the bucket: %d projects, %d deployments, %d hosts, %d domains, %d tombstones\n", r.Projects, r.Deployments, r.Hosts, r.Domains, r.Tombstones)
	if r.Removed > 0 {
		fmt.Fprintf(w, "Removed since the backup: %d deployments\n", r.Removed)
	}
	if r.Canceled > 0 {
		fmt.Fprintf(w, "Canceled, because they had not ended when the backup was made: %d deployments\n", r.Canceled)
	}
	for _, a := range r.Accounts {
		if a.Email == "" {
			fmt.Fprintf(w, "First owner, with %d projects: open the setup link that the next start prints\n", a.Projects)
			continue
		}
		fmt.Fprintf(w, "Account of an owner with %d projects: `mini-vercel user reset-password %s`\n", a.Projects, harmless(a.Email, false))
	}
	if len(r.Losses) > 0 {
		fmt.Fprintln(w, "Not recovered:")
	}
	for _, l := range r.Losses {
		fmt.Fprintf(w, "  %s: %s\n", harmless(l.What, false), harmless(l.Why, false))
	}
	if dry {
		fmt.Fprintln(w, "This was a dry run: nothing was changed")
		return
	}
	fmt.Fprintln(w, "Done. Start the control plane: it publishes everything again")
}
