package builder

import (
	"os"
	"path/filepath"

	"github.com/mini-vercel/mini-vercel/builder/framework"
)

// sideBySide is where a machine may have programs in several versions, for
// projects that ask for one of them: <program>/<version>/bin/<program>. It lies
// in a folder of the system's, which commands see.
const sideBySide = "/usr/local/lib/mini-vercel/tools"

// choose takes the newest version of a program that will do, puts it before the
// machine's own, and returns it; none: there is none.
func (b *build) choose(program string, accepts func(version string) bool) string {
	folder := filepath.Join(b.config.SideBySide, program)
	if b.config.SideBySide == "" {
		folder = filepath.Join(sideBySide, program)
	}
	entries, _ := os.ReadDir(folder) // most machines have no such folder
	var versions []string
	for _, entry := range entries {
		if _, err := os.Stat(filepath.Join(folder, entry.Name(), "bin", program)); err == nil && accepts(entry.Name()) {
			versions = append(versions, entry.Name())
		}
	}
	version := framework.Newest(versions)
	if version != "" {
		b.beside = append(b.beside, filepath.Join(folder, version, "bin"))
		b.log.Say("Using %s %s", program, version)
	}
	return version
}
