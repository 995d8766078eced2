package framework

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Plan is how a project is built.
type Plan struct {
	Row              *Row
	Directory        string // of the project, relative to the sources: "." is their root
	InstallDirectory string // where dependencies are installed: the workspace's root
	HasPackage       bool   // there is a package.json
	Manager          Manager
	Install          string // command; none: there is nothing to install
	Build            string // command; none: the files are the site
	Node             NodeWish
	Config           string // text of the project's mini-vercel.json

	output  string   // as configured
	outputs []string // where the output may be, best first
}

// Detect looks at the sources below root. What the settings say wins over what
// is found. Errors are sentences for a person.
func Detect(root *os.Root, settings site.BuildSettings) (*Plan, error) {
	directory, err := cleanDirectory("root directory", settings.RootDirectory)
	if err != nil {
		return nil, err
	}
	if info, err := root.Stat(directory); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("the root directory %q is not in the repository; it has: %s", settings.RootDirectory, names(&folder{root: root, name: "."}))
	}
	f, err := openFolder(root, directory)
	if err != nil {
		return nil, err
	}
	p := &Plan{Directory: directory, InstallDirectory: directory, HasPackage: f.pkg != nil, Config: f.text("mini-vercel.json")}
	if settings.OutputDirectory != "" {
		// A monorepo's tools write beside the package: ../../dist/web.
		full := path.Join(directory, filepath.ToSlash(settings.OutputDirectory))
		if path.IsAbs(settings.OutputDirectory) || !filepath.IsLocal(full) {
			return nil, fmt.Errorf("the output directory %q leaves the repository", settings.OutputDirectory)
		}
		p.output = settings.OutputDirectory
	}
	if settings.Framework != "" {
		if p.Row = Find(settings.Framework); p.Row == nil {
			return nil, fmt.Errorf("the framework %q is not known; leave it empty to have it detected, or use one of: %s", settings.Framework, strings.Join(ids(), ", "))
		}
	} else {
		p.Row = &Rows[slices.IndexFunc(Rows, func(r Row) bool { return r.matches(f) })]
	}
	if err := p.findCommands(f, settings); err != nil {
		return nil, err
	}
	p.findOutputs(f)
	return p, nil
}

func (p *Plan) findCommands(f *folder, settings site.BuildSettings) error {
	installFolder := f
	if f.pkg != nil {
		var err error
		if p.Manager, installFolder, err = findManager(f); err != nil {
			return err
		}
		p.InstallDirectory = installFolder.name
		if p.Manager.Lock != "" || installFolder.dependsOnAnything() || f.dependsOnAnything() {
			p.Install = p.Manager.Install
		}
	}
	p.Build = p.Row.Build
	scripts := p.Row.Scripts
	if len(scripts) == 0 {
		scripts = []string{"build"}
	}
	for _, script := range scripts {
		if f.script(script) != "" {
			p.Build = p.Manager.Run(script)
			p.outputs = append(p.outputs, scriptOutput(f.script(script))...)
			break
		}
	}
	if p.Row.ID == "static" {
		p.Build, p.Install = "", ""
	}
	if settings.InstallCommand != "" {
		p.Install = settings.InstallCommand
	}
	if settings.BuildCommand != "" {
		p.Build = settings.BuildCommand
		p.outputs = scriptOutput(p.Build)
		if p.Row.ID == "static" && p.Install == "" && p.HasPackage && installFolder.dependsOnAnything() {
			p.Install = p.Manager.Install
		}
	}
	if p.HasPackage && (p.Install != "" || p.Build != "") || settings.NodeVersion != "" {
		var err error
		p.Node, err = findNode(settings.NodeVersion, f)
		return err
	}
	return nil
}

func (f *folder) dependsOnAnything() bool {
	return f.pkg != nil && (len(f.pkg.Dependencies) > 0 || len(f.pkg.DevDependencies) > 0 || len(f.pkg.Optional) > 0 || f.pkg.Workspaces != nil)
}

// Detection is the plan as people see it.
func (p *Plan) Detection(root *os.Root) site.Detection {
	d := site.Detection{
		Framework: p.Row.ID, FrameworkName: p.Row.Name,
		InstallCommand: p.Install, BuildCommand: p.Build, NodeVersion: p.Node.Range,
	}
	if p.HasPackage {
		d.PackageManager = p.Manager.Name
	}
	d.OutputDirectory = p.output
	if d.OutputDirectory == "" {
		d.OutputDirectory = p.expectedOutput(root)
	}
	d.RootDirectories = packages(root)
	return d
}

// packages lists the folders of a monorepo that could be a project's root
// directory: those with a package.json that says how to build them.
func packages(root *os.Root) []string {
	top, err := openFolder(root, ".")
	if err != nil {
		return nil
	}
	workspace := top.has("pnpm-workspace.yaml") || top.has("lerna.json") || top.has("nx.json") || top.pkg != nil && top.pkg.Workspaces != nil
	var found []string
	for _, entry := range top.list(".") {
		if !entry.IsDir() || skipFolder(entry.Name()) {
			continue
		}
		if f, err := openFolder(root, entry.Name()); err == nil && f.script("build") != "" {
			found = append(found, entry.Name())
			continue
		}
		if !workspace {
			continue
		}
		for _, inner := range (&folder{root: root, name: "."}).list(entry.Name()) {
			name := path.Join(entry.Name(), inner.Name())
			if !inner.IsDir() || skipFolder(inner.Name()) || len(found) >= maxPackages {
				continue
			}
			if f, err := openFolder(root, name); err == nil && f.script("build") != "" {
				found = append(found, name)
			}
		}
	}
	return found
}

const maxPackages = 50

func skipFolder(name string) bool { return name[0] == '.' || name == "node_modules" }

func cleanDirectory(what, name string) (string, error) {
	cleaned := path.Clean(strings.TrimPrefix(filepath.ToSlash(name), "/"))
	if !filepath.IsLocal(cleaned) || strings.ContainsFunc(cleaned, func(r rune) bool { return r < ' ' }) {
		return "", fmt.Errorf("the %s %q leaves the repository", what, name)
	}
	return cleaned, nil
}

func ids() []string {
	var out []string
	for i := range Rows {
		if !slices.Contains(out, Rows[i].ID) {
			out = append(out, Rows[i].ID)
		}
	}
	return out
}
