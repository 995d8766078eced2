package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
)

func newBackupCommand() *cobra.Command {
	var offline bool
	f := &serverFlags{}
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of the database (administrators)",
		Long: `Backup writes one consistent state of the database, with all projects, deployments,
routes, accounts and settings, to a file that "mini-vercel restore" takes; - is
standard output. It asks the control plane, which goes on meanwhile. With
--offline it reads the database itself: DATABASE_URL, or that of a data directory
on which nothing runs.

Not in it: the master key, which opens the secrets in it (keep MASTER_KEY or
master.key elsewhere); the bucket; build logs; sessions, one-use links.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			write := backupByAPI
			if offline {
				s, err := f.settings(cmd)
				if err != nil {
					return err
				}
				write = func(cmd *cobra.Command, w io.Writer) error { return backupOffline(cmd, s, w) }
			} else if f.data != "" {
				return usagef("--data goes with --offline: else the control plane is asked")
			}
			if args[0] == "-" {
				return backupToPipe(cmd, write)
			}
			return backupToFile(cmd, args[0], write)
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "read the database, not the control plane")
	c.Flags().StringVar(&f.data, "data", "", "directory of the embedded parts, with --offline (default ./data)")
	return c
}

func backupByAPI(cmd *cobra.Command, w io.Writer) error {
	conn, err := connect(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	res, err := conn.Stream(cmd.Context(), publish.Call{Method: http.MethodGet, Path: "/operation/backup"})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("the backup broke off: %w", err)
	}
	return nil
}

func backupOffline(cmd *cobra.Command, s *Settings, w io.Writer) error {
	if s.DatabaseURL == "" && !exists(s.DataDir, databaseName) {
		return fmt.Errorf("%s has no database: name the control plane's data directory with --data, or set DATABASE_URL", s.DataDir)
	}
	return withDatabase(cmd.Context(), s, s.openStore, func(service *controlplane.Service) error {
		_, err := service.Backup(cmd.Context(), w)
		return err
	})
}

// backupToFile writes a file beside the one that is wanted, reads it back, and
// gives it its name: whatever is interrupted, no half backup has it.
func backupToFile(cmd *cobra.Command, name string, write func(*cobra.Command, io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(name), ".mini-vercel-backup-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		_ = file.Close() // it is closed already where all went well
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := write(cmd, file); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	info, err := controlplane.ReadBackup(file, nil)
	if err != nil {
		return err
	}
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(name)); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d rows, %s, read back and whole\nIts secrets need the master key %s, which is not in it: keep that elsewhere\n", name, info.Rows, publish.Bytes(stat.Size()), info.Key)
	return nil
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// backupToPipe reads on the way what it writes, and fails where that is not
// whole.
func backupToPipe(cmd *cobra.Command, write func(*cobra.Command, io.Writer) error) error {
	if isTerminal(cmd.OutOrStdout()) {
		return usagef("a backup is not for the eye: name a file, or send it on, as in `mini-vercel backup - | ssh host 'cat > backup'`")
	}
	r, w := io.Pipe()
	whole := make(chan error, 1)
	go func() {
		_, err := controlplane.ReadBackup(r, nil)
		_, _ = io.Copy(io.Discard, r) // else the writer would wait
		whole <- err
	}()
	err := write(cmd, io.MultiWriter(cmd.OutOrStdout(), w))
	w.CloseWithError(err)
	return errors.Join(err, ifNone(err, <-whole))
}

// ifNone is err where there is no first one, of which it would be a consequence.
func ifNone(first, err error) error {
	if first != nil {
		return nil
	}
	return err
}

// withDatabase opens the database and the bucket of a platform that does not run
// here, for one piece of work.
func withDatabase(ctx context.Context, s *Settings, open func(context.Context, *dataDir) (*store.Store, error), work func(*controlplane.Service) error) (err error) {
	dir, err := openDataDir(s.DataDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	log := s.newLogger()
	key, err := s.masterKey(dir)
	if err != nil {
		return err
	}
	bucket, err := s.openBucket(ctx, dir.path, controlplane.DeriveKey(key, "blob-urls"), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	if bucket.service != nil {
		if err := s.checkService(ctx, bucket.service, reads, log); err != nil {
			return err
		}
	}
	db, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return work(controlplane.New(controlplane.Config{
		BaseDomain: s.BaseDomain, MasterKey: key, Exclusive: s.DatabaseURL == "",
	}, db, nil, nil, bucket, nil, log))
}
