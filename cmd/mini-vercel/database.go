package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
)

func newDatabaseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "db",
		Short: "Look at the database, bring it up to date, move it to PostgreSQL",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("what is to be done? `mini-vercel db status`, `db migrate` or `db copy`")
		},
	}
	f := &serverFlags{}
	for _, sub := range []*cobra.Command{
		{
			Use:   "status",
			Short: "Show version, pending migrations, size and connections",
			RunE: func(cmd *cobra.Command, _ []string) error {
				s, err := f.settings(cmd)
				if err != nil {
					return err
				}
				st, err := s.databaseStatus(cmd.Context())
				if err != nil {
					return err
				}
				return writeStatus(cmd.OutOrStdout(), st)
			},
		},
		{
			Use:   "migrate",
			Short: "Bring the tables up to date",
			Long: `Migrate brings the tables of DATABASE_URL, or of the file in the data directory, up
to date, as each start of a control plane does. A control plane whose user may
not change tables starts once this has run.`,
			RunE: func(cmd *cobra.Command, _ []string) error {
				s, err := f.settings(cmd)
				if err != nil {
					return err
				}
				if err := s.migrateDatabase(cmd.Context()); err != nil {
					return err
				}
				st, err := s.databaseStatus(cmd.Context())
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "The database has version %d: %s\n", st.Version, st.Place)
				return nil
			},
		},
		{
			Use:   "copy",
			Short: "Copy the database of the data directory to DATABASE_URL",
			Long: `Copy moves a control plane from SQLite to PostgreSQL: it copies every row of the
database in the data directory to the empty one that DATABASE_URL names, all or
nothing, and compares the numbers; before that, where CLICKHOUSE_HOST is set, every
log. Stop the control plane first. Bucket and master key stay where they are. The
files are left as they are.`,
			RunE: func(cmd *cobra.Command, _ []string) error {
				s, err := f.settings(cmd)
				if err != nil {
					return err
				}
				return s.copyDatabase(cmd.Context(), cmd.OutOrStdout())
			},
		},
	} {
		sub.Args = usageArgs(cobra.NoArgs)
		sub.Flags().StringVar(&f.data, "data", "", "directory of the embedded parts (default ./data)")
		c.AddCommand(sub)
	}
	return c
}

func (s *Settings) databaseStatus(ctx context.Context) (*store.Status, error) {
	if s.DatabaseURL != "" {
		return store.PostgresStatus(ctx, s.postgres())
	}
	dir := &dataDir{path: s.DataDir}
	return store.FileStatus(ctx, dir.join(databaseName))
}

func writeStatus(w io.Writer, st *store.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "Database\t%s\n", st.Place)
	fmt.Fprintf(t, "Engine\t%s\n", st.Engine)
	fmt.Fprintf(t, "Version\t%d, this mini-vercel has %d\n", st.Version, st.Latest)
	pending := "none"
	if st.Version > st.Latest {
		pending = "none: a newer mini-vercel has migrated it"
	} else if len(st.Pending) > 0 {
		pending = strings.Join(st.Pending, ", ")
	}
	fmt.Fprintf(t, "Pending\t%s\n", pending)
	fmt.Fprintf(t, "Size\t%.1f MiB\n", float64(st.SizeBytes)/(1<<20))
	if st.MaxConnections > 0 {
		fmt.Fprintf(t, "Connections\t%d, %d of them of control planes; the server takes %d\n", st.Connections, st.Own, st.MaxConnections)
	}
	return t.Flush()
}

func (s *Settings) migrateDatabase(ctx context.Context) error {
	if s.DatabaseURL != "" {
		o := s.postgres()
		o.Migrate = true
		db, err := store.OpenPostgres(ctx, o)
		if err != nil {
			return err
		}
		return db.Close()
	}
	dir, err := openDataDir(s.DataDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	db, err := store.Open(ctx, dir.join(databaseName))
	if err != nil {
		return err
	}
	return db.Close()
}

func (s *Settings) copyDatabase(ctx context.Context, w io.Writer) (err error) {
	if s.DatabaseURL == "" {
		return errors.New("DATABASE_URL is not set: it names the PostgreSQL database that the rows are copied to")
	}
	if !exists(s.DataDir, databaseName) {
		return fmt.Errorf("%s has no database: name the control plane's data directory with --data", s.DataDir)
	}
	dir, err := openDataDir(s.DataDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	from, err := store.Open(ctx, dir.join(databaseName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	// Who has another key copies secrets that nobody can read.
	if err := s.bindMasterKey(ctx, dir, from); err != nil {
		return err
	}
	if s.ClickHouseHost != "" && exists(s.DataDir, logsName) {
		if err := s.copyLogs(ctx, w, dir, from); err != nil {
			return err
		}
	}
	err = from.CopyToPostgres(ctx, s.postgres(), func(p store.CopyProgress) {
		fmt.Fprintf(w, "%-16s %d of %d rows\n", p.Table, p.Rows, p.Total)
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nEvery row is copied. Start the control plane with DATABASE_URL, and with MASTER_KEY set to")
	if s.MasterKey == "" {
		fmt.Fprintf(w, "what %s holds. ", dir.join("master.key"))
	} else {
		fmt.Fprint(w, "the key that it has now. ")
	}
	if s.ClickHouseHost == "" {
		fmt.Fprintf(w, "The logs stay in %s:\nkeep the directory as DATA_DIR.", dir.join(logsName))
	}
	fmt.Fprintln(w)
	return nil
}

// copyLogs copies the log of every deployment to ClickHouse. Who repeats it gets
// no line twice.
func (s *Settings) copyLogs(ctx context.Context, w io.Writer, dir *dataDir, db *store.Store) (err error) {
	var refs []controlplane.LogRef
	err = db.View(ctx, func(tx controlplane.Tx) error {
		return tx.EachRow("deployments", func(columns []string, values []any) error {
			id, _ := values[slices.Index(columns, "id")].(string)
			created, _ := values[slices.Index(columns, "created_at")].(int64)
			refs = append(refs, controlplane.LogRef{Deployment: id, Created: time.UnixMicro(created).UTC()})
			return nil
		})
	})
	if err != nil {
		return err
	}
	from, err := logs.OpenSQLite(ctx, dir.join(logsName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := s.openLogs(ctx, dir, s.newLogger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	lines := 0
	for i, ref := range refs {
		n, err := logs.Copy(ctx, from, to, ref)
		if err != nil {
			return err
		}
		if lines += n; (i+1)%1000 == 0 || i+1 == len(refs) {
			fmt.Fprintf(w, "%-16s %d of %d, %d lines\n", "logs", i+1, len(refs), lines)
		}
	}
	return nil
}
