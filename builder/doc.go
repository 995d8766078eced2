// Package builder is one run of a build: it claims its job, fetches the
// sources, finds out how to build them, runs their commands in a sandbox, and
// publishes what they made. It knows one URL and one token, and reports through
// the events of [site.Event] alone.
package builder
