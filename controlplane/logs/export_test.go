package logs

import "log/slog"

// LogStatements has the driver log every statement as it is sent, with its
// parameters in place.
func (o *ClickHouseOptions) LogStatements(l *slog.Logger) { o.driverLog = l }
