package framework

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// findOutputs collects where the output may be, the surest first.
func (p *Plan) findOutputs(f *folder) {
	if p.Row.Configure != nil {
		for _, name := range p.Row.Configure(f) {
			if name = path.Clean(strings.TrimPrefix(name, "./")); !path.IsAbs(name) && filepath.IsLocal(path.Join(p.Directory, name)) {
				p.outputs = append(p.outputs, name)
			}
		}
	}
	p.outputs = append(p.outputs, p.Row.Output...)
}

// expectedOutput is where the output will probably be, before it is there.
func (p *Plan) expectedOutput(root *os.Root) string {
	if p.Row.ID == "static" {
		if name, err := p.Output(root); err == nil {
			if within, err := filepath.Rel(p.Directory, name); err == nil {
				return filepath.ToSlash(within)
			}
		}
	}
	return p.outputs[0]
}

// Output finds the folder that was built, relative to the sources' root. Errors
// are sentences that say what was looked for and what there is.
func (p *Plan) Output(root *os.Root) (string, error) {
	f := &folder{root: root, name: p.Directory}
	if p.output != "" {
		name := path.Join(p.Directory, p.output)
		at := &folder{root: root, name: name}
		switch info, err := root.Stat(name); {
		case err != nil:
			return "", fmt.Errorf("the build has not made the output directory %q; %s", p.output, p.inventory(f))
		case !info.IsDir():
			return "", fmt.Errorf("the output directory %q is not a directory", p.output)
		case len(at.list(".")) == 0:
			return "", fmt.Errorf("the output directory %q is empty", p.output)
		}
		return name, nil
	}
	var filled, looked []string
	for _, name := range p.outputs {
		if parent, ok := strings.CutSuffix(name, "/*"); ok { // one folder whose name nobody knows
			for _, entry := range f.list(parent) {
				if entry.IsDir() && f.has(path.Join(parent, entry.Name(), "index.html")) {
					return path.Join(p.Directory, parent, entry.Name()), nil
				}
			}
			continue
		}
		if !slices.Contains(looked, name) {
			looked = append(looked, name)
		}
		if f.has(path.Join(name, "index.html")) {
			return path.Join(p.Directory, name), nil
		}
		if len(f.list(name)) > 0 {
			filled = append(filled, name)
		}
	}
	if p.Row.Server != "" && (len(filled) == 0 || !p.hasPages(f, filled)) {
		return "", fmt.Errorf("%s built no pages: %s. Looked for index.html in %s", p.Row.Name, p.Row.Server, list(looked))
	}
	if p.Row.ID == "static" && len(filled) > 0 && filled[0] == "." && !p.hasPages(f, filled[:1]) {
		return "", fmt.Errorf("there is nothing to serve: no index.html in %s, and no build script in a package.json; %s", list(looked), p.inventory(f))
	}
	if len(filled) > 0 {
		return path.Join(p.Directory, filled[0]), nil
	}
	return "", fmt.Errorf("the build has made no output: looked for %s; %s. Set the output directory in the project's settings", list(looked), p.inventory(f))
}

// hasPages reports whether one of the folders holds a page, at the top or in
// the folders of the top.
func (p *Plan) hasPages(f *folder, folders []string) bool {
	isPage := func(name string) bool { return strings.HasSuffix(name, ".html") || strings.HasSuffix(name, ".htm") }
	for _, name := range folders {
		for _, entry := range f.list(name) {
			if isPage(entry.Name()) && f.has(path.Join(name, entry.Name())) {
				return true
			}
			if entry.IsDir() && !skipFolder(entry.Name()) && f.has(path.Join(name, entry.Name(), "index.html")) {
				return true
			}
		}
	}
	return false
}

func (p *Plan) inventory(f *folder) string {
	where := "there is"
	if p.Directory != "." {
		where = p.Directory + " has"
	}
	return where + ": " + names(f)
}

const maxNames = 20

// names lists what is in a folder, for a message.
func names(f *folder) string {
	var out []string
	for _, entry := range f.list(".") {
		if entry.Name() == ".git" || entry.Name() == "node_modules" {
			continue
		}
		if len(out) == maxNames {
			out = append(out, "…")
			break
		}
		name := entry.Name()
		if entry.IsDir() {
			name += "/"
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

func list(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
