// Package transcript turns what a build's commands print into log lines that
// are safe to keep and to show: bounded, valid UTF-8, without control sequences
// other than colours, and without the values of secret variables.
package transcript
