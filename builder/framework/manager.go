package framework

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Manager is the package manager of a project.
type Manager struct {
	Name    string // npm, pnpm, yarn or bun
	Version string // as npm understands it: exact, or a major; none where any will do
	Exact   bool   // packageManager in package.json names the version
	From    string // the file that says so
	Berry   bool   // yarn 2 and later
	Install string // the command that installs what the lockfile says
	Lock    string // the lockfile; none
}

// Run is the command that runs a script of package.json.
func (m Manager) Run(script string) string { return m.Name + " run " + script }

// Package is the npm package in which the package manager comes.
func (m Manager) Package() string {
	name := m.Name
	if m.Berry {
		name = "@yarnpkg/cli-dist"
	}
	if m.Version == "" {
		return name
	}
	return name + "@" + m.Version
}

// lockfiles tells managers by their lockfiles; where there are several, the
// first of these wins: npm's own is often left over from before a change.
var lockfiles = []struct{ file, manager string }{
	{"bun.lock", "bun"}, {"bun.lockb", "bun"},
	{"pnpm-lock.yaml", "pnpm"},
	{"yarn.lock", "yarn"},
	{"package-lock.json", "npm"}, {"npm-shrinkwrap.json", "npm"},
}

var packageManager = regexp.MustCompile(`^(npm|pnpm|yarn|bun)@(\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?)(?:\+[0-9A-Za-z.=/+-]*)?$`)

// findManager looks from a folder upwards for a lockfile or packageManager, and
// returns with the manager the folder that dependencies are installed in: in a
// monorepo that is the workspace's.
func findManager(f *folder) (Manager, *folder, error) {
	at := f
	for {
		m, found, err := managerOf(at)
		if err != nil {
			return Manager{}, nil, err
		}
		if found {
			m.Install = m.installCommand()
			return m, at, nil
		}
		if at.name == "." {
			break
		}
		parent, err := openFolder(f.root, path.Dir(at.name))
		if err != nil {
			return Manager{}, nil, err
		}
		at = parent
	}
	m := Manager{Name: "npm", Install: "npm install"}
	for at := f; at.name != "."; {
		parent, err := openFolder(f.root, path.Dir(at.name))
		if err != nil {
			return Manager{}, nil, err
		}
		if parent.pkg != nil && parent.pkg.Workspaces != nil {
			return m, parent, nil
		}
		at = parent
	}
	return m, f, nil
}

func managerOf(f *folder) (m Manager, found bool, err error) {
	for _, lock := range lockfiles {
		if f.has(lock.file) {
			m, found = Manager{Name: lock.manager, From: path.Join(f.name, lock.file), Lock: lock.file}, true
			break
		}
	}
	if f.pkg != nil && f.pkg.PackageManager != "" {
		named := packageManager.FindStringSubmatch(f.pkg.PackageManager)
		if named == nil {
			return m, false, fmt.Errorf("%s: packageManager is %.100q; write it like \"pnpm@9.15.0\"", path.Join(f.name, "package.json"), f.pkg.PackageManager)
		}
		lock := ""
		for _, l := range lockfiles {
			if l.manager == named[1] && f.has(l.file) {
				lock = l.file
				break
			}
		}
		m = Manager{Name: named[1], Version: named[2], Exact: true, From: path.Join(f.name, "package.json"), Lock: lock}
		found = true
	}
	if !found {
		return m, false, nil
	}
	return m.complete(f), true, nil
}

var (
	pnpmLock  = regexp.MustCompile(`(?m)^lockfileVersion:\s*'?(\d+)\.`)
	berryLock = regexp.MustCompile(`(?m)^__metadata:\s*\n\s+version:\s*"?(\d+)`)
)

// complete works out which version wrote the lockfile: another major would
// refuse it or rewrite it.
func (m Manager) complete(f *folder) Manager {
	switch m.Name {
	case "pnpm":
		if m.Version != "" {
			break
		}
		m.Version = "9"
		if found := pnpmLock.FindStringSubmatch(f.start(m.Lock)); found != nil {
			switch found[1] {
			case "5":
				m.Version = "7"
			case "6":
				m.Version = "8"
			}
		}
	case "yarn":
		lock := f.start(m.Lock)
		found := berryLock.FindStringSubmatch(lock)
		if m.Version != "" {
			m.Berry = !strings.HasPrefix(m.Version, "1.") && m.Version != "1" && !strings.HasPrefix(m.Version, "0.")
			break
		}
		m.Berry = found != nil || lock == "" && f.has(".yarnrc.yml")
		m.Version = "1"
		if m.Berry {
			m.Version = "4"
		}
		if found != nil && len(found[1]) == 1 && found[1] < "8" {
			m.Version = "3"
		}
	case "bun":
		if m.Version == "" {
			m.Version = "1"
		}
	}
	return m
}

// start is the beginning of a lockfile, which may be larger than what is read
// of other files.
func (f *folder) start(name string) string {
	if name == "" || !f.has(name) {
		return ""
	}
	file, err := f.root.Open(path.Join(f.name, name))
	if err != nil {
		return ""
	}
	defer file.Close()
	head := make([]byte, 4096)
	n, _ := file.Read(head)
	return string(head[:n])
}

func (m Manager) installCommand() string {
	locked := m.Lock != ""
	switch m.Name {
	case "pnpm":
		if locked {
			return "pnpm install --frozen-lockfile"
		}
		return "pnpm install"
	case "yarn":
		switch {
		case locked && m.Berry:
			return "yarn install --immutable"
		case locked:
			return "yarn install --frozen-lockfile"
		case m.Berry:
			return "yarn install --no-immutable" // which it would be on its own, with CI set
		}
		return "yarn install"
	case "bun":
		if locked {
			return "bun install --frozen-lockfile"
		}
		return "bun install"
	}
	if locked {
		return "npm ci"
	}
	return "npm install"
}

// Accepts reports whether the manager's version that is there will do: the same
// one where the project names it, else the same major.
func (m Manager) Accepts(there string) bool {
	have, ok := parsePartial(there)
	want, valid := parsePartial(m.Version)
	if !ok || !valid || have.parts == 0 {
		return false
	}
	if m.Exact && want.parts == 3 {
		return have.version == want.version
	}
	return want.parts == 0 || have.version[0] == want.version[0]
}
