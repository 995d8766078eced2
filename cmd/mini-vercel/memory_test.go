package main

import (
	"math"
	"testing"
)

func TestMemoryLimitStaysWithinTheContainer(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cacheMiB  int
		container uint64
		want      int64
	}{
		{"no control group", 256, 0, 1 << 30},
		{"no limit", 256, math.MaxUint64, 1 << 30},
		{"a large cache", 1024, 0, 4 << 30},
		{"a container with room", 256, 16 << 30, 1 << 30},
		{"a small container", 256, 500 << 20, 500 << 20 / 10 * 9},
		{"a cache as large as the container", 1024, 1 << 30, 1 << 30 / 10 * 9},
	} {
		if got := memoryLimit(tt.cacheMiB, tt.container); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
