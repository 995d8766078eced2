package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
)

// ClickHouseSettings say where ClickHouse is, if logs are kept there.
type ClickHouseSettings struct {
	ClickHouseHost     string `env:"CLICKHOUSE_HOST" address:"true" help:"Host of a ClickHouse server that keeps the logs of builds, instead of the file DATA_DIR/logs.db. See docs/clickhouse.md."`
	ClickHousePort     int    `env:"CLICKHOUSE_PORT" help:"Port of its native protocol. Default: 9000, with TLS 9440."`
	ClickHouseUsername string `env:"CLICKHOUSE_USERNAME" default:"default" help:"User who may write and alter tables in the database."`
	ClickHousePassword string `env:"CLICKHOUSE_PASSWORD" secret:"true" help:"That user's password."`
	ClickHouseDatabase string `env:"CLICKHOUSE_DATABASE" default:"mini_vercel" help:"Database of the logs. It is made where it is missing and the user may."`
	ClickHouseSSL      bool   `env:"CLICKHOUSE_SSL" help:"Connect by TLS."`
	ClickHouseSSLCA    string `env:"CLICKHOUSE_SSL_CA" help:"File in PEM with the roots that the server's certificate is trusted by. Default: the system's."`
}

func (s *ClickHouseSettings) checkClickHouse() error {
	if s.ClickHouseHost == "" {
		for name, set := range map[string]bool{
			"CLICKHOUSE_PORT": s.ClickHousePort != 0, "CLICKHOUSE_PASSWORD": s.ClickHousePassword != "", "CLICKHOUSE_SSL": s.ClickHouseSSL, "CLICKHOUSE_SSL_CA": s.ClickHouseSSLCA != "",
		} {
			if set {
				return fmt.Errorf("%s is set, but CLICKHOUSE_HOST is not: set both to keep logs in ClickHouse, or neither", name)
			}
		}
		return nil
	}
	if s.ClickHousePort > 65535 {
		return fmt.Errorf("CLICKHOUSE_PORT=%d: a port is at most 65535", s.ClickHousePort)
	}
	if s.ClickHouseSSLCA != "" && !s.ClickHouseSSL {
		return errors.New("CLICKHOUSE_SSL_CA is set, but CLICKHOUSE_SSL is not: set both to connect by TLS, or neither")
	}
	return logs.ClickHouseOptions{Host: s.ClickHouseHost, Database: s.ClickHouseDatabase}.Check()
}

// clickHouse says where ClickHouse is, for the log store.
func (s *ClickHouseSettings) clickHouse() (o logs.ClickHouseOptions, err error) {
	o = logs.ClickHouseOptions{Host: s.ClickHouseHost, Port: s.ClickHousePort, Username: s.ClickHouseUsername, Password: s.ClickHousePassword, Database: s.ClickHouseDatabase}
	if s.ClickHouseSSL {
		o.TLS, err = trusting("CLICKHOUSE_SSL_CA", s.ClickHouseSSLCA)
	}
	return o, err
}

// openClickHouse makes the log store, and tries it. What it returns with an
// error, which names the settings to look at, is usable where that is
// [logs.ErrAway], and has to be closed.
func (s *ClickHouseSettings) openClickHouse(ctx context.Context) (*logs.ClickHouse, error) {
	o, err := s.clickHouse()
	if err != nil {
		return nil, err // names the variable
	}
	c, err := logs.OpenClickHouse(o)
	if err != nil {
		return nil, err // names the variable
	}
	err = c.Check(ctx)
	var refused controlplane.SettingsError
	switch {
	case err == nil || errors.As(err, &refused): // names the variables
		return c, err
	case errors.Is(err, logs.ErrAway):
		return c, fmt.Errorf("CLICKHOUSE_HOST, CLICKHOUSE_PORT, CLICKHOUSE_SSL: %w", err)
	}
	return c, fmt.Errorf("CLICKHOUSE_HOST: %w", err)
}

// logStore is where logs are kept, and what is measured of it.
type logStore struct {
	controlplane.LogStore
	collectors []prometheus.Collector
}

// openLogs opens the log store. A ClickHouse that is away is used when it is
// back; what only a person can mend stops the start.
func (s *Settings) openLogs(ctx context.Context, dir *dataDir, log *slog.Logger) (*logStore, error) {
	if s.ClickHouseHost == "" {
		file, err := logs.OpenSQLite(ctx, dir.join(logsName))
		if err != nil {
			return nil, err
		}
		return &logStore{LogStore: file}, nil
	}
	c, err := s.openClickHouse(ctx)
	switch {
	case errors.Is(err, logs.ErrAway):
		log.Warn("logs can't be kept or read until ClickHouse answers. If this lasts, look at the settings that the error names", "error", err)
	case err != nil && c != nil:
		return nil, errors.Join(err, c.Close())
	case err != nil:
		return nil, err
	}
	return &logStore{LogStore: c, collectors: c.Collectors()}, nil
}

// logsPart is where logs are kept, with ClickHouse; without it they are a file
// of the data directory. Tables that are missing are made, as at a start.
func (s *Settings) logsPart() part {
	return part{"logs", s.ClickHouseHost + ", database " + s.ClickHouseDatabase, func(ctx context.Context) (string, error) {
		c, err := s.openClickHouse(ctx)
		if c != nil {
			defer c.Close()
		}
		if err != nil {
			return "", err
		}
		version, err := c.Version()
		return "ClickHouse " + version, err
	}}
}
