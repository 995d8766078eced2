package framework

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// NodeWish is what a project says of the Node version that it needs.
type NodeWish struct {
	Range string // as npm understands it; none: any will do
	From  string // the file that says so, for messages
	Exact bool   // it names one version, where the newest of its line will do
}

// newestNode is what "node" and "lts/*" in .nvmrc stand for.
const newestNode, newestLTS = "24", "24"

// nodeLines are the lines of Node that are looked for, best first, and the name
// each goes by.
var nodeLines = []struct {
	major int
	name  string
}{{24, "krypton"}, {22, "jod"}, {20, "iron"}, {18, "hydrogen"}, {16, "gallium"}, {25, ""}, {26, ""}, {23, ""}, {21, ""}, {14, "fermium"}}

// findNode asks the setting, the files that name a version, and engines, in
// this order, from the folder upwards.
func findNode(configured string, f *folder) (NodeWish, error) {
	if configured = strings.TrimSpace(configured); configured != "" {
		return readWish(configured, "the project's settings")
	}
	for at := f; ; {
		for _, file := range []string{".nvmrc", ".node-version"} {
			for line := range strings.Lines(at.text(file)) {
				if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) != "" {
					return readWish(strings.TrimSpace(line), path.Join(at.name, file))
				}
			}
		}
		if at.pkg != nil && strings.TrimSpace(at.pkg.Engines.Node) != "" {
			wish, err := readWish(at.pkg.Engines.Node, "engines in "+path.Join(at.name, "package.json"))
			if err != nil {
				return NodeWish{}, nil // npm, too, only warns of it
			}
			return wish, nil
		}
		if at.name == "." {
			return NodeWish{}, nil
		}
		parent, err := openFolder(at.root, path.Dir(at.name))
		if err != nil {
			return NodeWish{}, err
		}
		at = parent
	}
}

func readWish(text, from string) (NodeWish, error) {
	text = strings.TrimSpace(text)
	switch lower := strings.ToLower(text); {
	case lower == "node" || lower == "stable" || lower == "latest" || lower == "current":
		return NodeWish{Range: ">=" + newestNode, From: from}, nil
	case lower == "lts/*" || lower == "lts":
		return NodeWish{Range: newestLTS, From: from}, nil
	case strings.HasPrefix(lower, "lts/"):
		for _, line := range nodeLines {
			if line.name != "" && lower == "lts/"+line.name {
				return NodeWish{Range: fmt.Sprint(line.major), From: from}, nil
			}
		}
	}
	if _, ok := satisfies(version{}, text); !ok {
		return NodeWish{}, fmt.Errorf("the Node version %.60q in %s can't be understood: write it like 22 or 22.3.0", text, from)
	}
	p, ok := parsePartial(text)
	return NodeWish{Range: text, From: from, Exact: ok && p.parts == 3}, nil
}

// Satisfied reports whether the Node version that is there, such as "v20.20.2",
// will do: where one version is named, every later one of its line does.
func (w NodeWish) Satisfied(there string) bool {
	p, ok := parsePartial(strings.TrimSpace(there))
	if w.Range == "" || !ok || p.parts != 3 {
		return w.Range == ""
	}
	wanted := w.Range
	if w.Exact {
		wanted = "^" + strings.TrimLeft(wanted, "v= ")
	}
	in, _ := satisfies(p.version, wanted)
	return in
}

// Line is what to ask npm for where the Node version that is there won't do: a
// line of releases, or one version; none where there is no such line.
func (w NodeWish) Line() string {
	if w.Exact {
		return strings.TrimLeft(w.Range, "v= ")
	}
	for _, line := range nodeLines {
		// Some version late in the line is asked for, whatever its number.
		if in, _ := satisfies(version{line.major, 999, 999}, w.Range); in {
			return fmt.Sprint(line.major)
		}
	}
	if p, ok := parsePartial(w.Range); ok && p.parts > 0 {
		return strings.TrimLeft(w.Range, "v= ")
	}
	return ""
}

var nodeMajor = regexp.MustCompile(`^\d+`)

// NPMFor is the last npm that runs on a line of Node which the machine's own
// may be too new for; none: any will.
func NPMFor(line string) string {
	switch major := nodeMajor.FindString(line); {
	case len(major) < 2:
		return ""
	case major < "18":
		return "8"
	case major < "20":
		return "10"
	}
	return ""
}
