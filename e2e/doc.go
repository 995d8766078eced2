// Package e2e tests the whole system as a user meets it: the binary, its
// command line, its sites and its dashboard, with real builds and a real
// browser. `make e2e` runs it.
package e2e
