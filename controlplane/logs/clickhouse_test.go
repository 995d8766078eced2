package logs_test

import (
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/logs/logstest"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
)

// optionsFor open a store in a database of its own.
func optionsFor(s *clickhousetest.Server) logs.ClickHouseOptions {
	return logs.ClickHouseOptions{
		Host: s.Host, Port: s.Port, Username: s.Username, Password: s.Password, Database: s.NewDatabase(),
		Interval: time.Nanosecond, EraseInterval: time.Nanosecond,
	}
}

func openClickHouse(t testing.TB, o logs.ClickHouseOptions) *logs.ClickHouse {
	t.Helper()
	c, err := logs.OpenClickHouse(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClickHouse(t *testing.T) {
	server := clickhousetest.Start(t)
	logstest.Run(t, func(t *testing.T) controlplane.LogStore { return openClickHouse(t, optionsFor(server)) })
}
