// Package report tells the control plane what a builder does: events in order,
// each once, through a file while the control plane is away.
package report
