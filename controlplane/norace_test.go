//go:build !race

package controlplane_test

// underRace says that the race detector runs, which makes everything slow.
const underRace = false
