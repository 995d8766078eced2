package logs

import (
	"context"
	"log/slog"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// LogStatements has the driver log every statement as it is sent, with its
// parameters in place.
func (o *ClickHouseOptions) LogStatements(l *slog.Logger) { o.driverLog = l }

// BeforeQueries has f called before each query for lines.
func (c *ClickHouse) BeforeQueries(f func()) { c.read = hookedConn{c.read, f} }

type hookedConn struct {
	driver.Conn
	before func()
}

func (h hookedConn) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	h.before()
	return h.Conn.Query(ctx, query, args...)
}
