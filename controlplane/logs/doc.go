// Package logs keeps the lines of builds' logs: in a SQLite file.
package logs
