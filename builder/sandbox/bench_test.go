package sandbox

import (
	"os"
	"testing"
)

// BenchmarkRun is what the sandbox adds to a command.
func BenchmarkRun(b *testing.B) {
	for _, mode := range modes {
		for _, network := range []bool{false, true} {
			name := string(mode)
			if network {
				name += " with network"
			}
			b.Run(name, func(b *testing.B) {
				workspace := b.TempDir()
				if err := os.Chmod(workspace, 0o755); err != nil {
					b.Fatal(err)
				}
				s, err := New(b.Context(), Config{Mode: string(mode)}, workspace, Limits{MemoryBytes: 1 << 30, Processes: 100})
				if err != nil {
					b.Skip(err)
				}
				defer s.Close()
				for b.Loop() {
					if _, err := s.Run(b.Context(), Command{Args: []string{"true"}, Network: network}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	for b.Loop() {
		if i := Probe(b.Context(), Config{}); i.Err() != nil {
			b.Fatal(i.Err())
		}
	}
}
