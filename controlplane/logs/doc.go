// Package logs keeps the lines of builds' logs: in a SQLite file, or in
// ClickHouse.
package logs
