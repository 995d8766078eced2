package controlplane_test

import (
	"slices"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestEarlyHintsAreForProjectsThatWantThem(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	hints := []string{"</a.js>; rel=modulepreload"}
	// An immutable file whose bytes change has the manifest made anew.
	page := func(text string) []site.FileEntry {
		return []site.FileEntry{{Path: "/index.html", Hints: hints}, {Path: "/" + text, Immutable: true}}
	}
	sent := func(d *controlplane.Deployment) []string {
		t.Helper()
		return p.explain(d.DeploymentURL).File.EarlyHints
	}
	if got := sent(p.deployRules(project.ID, site.RuleSources{}, page("one")...)); len(got) > 0 {
		t.Errorf("not asked for: %q", got)
	}
	if got := sent(p.deployRules(project.ID, site.RuleSources{Config: `{"earlyHints":true}`}, page("two")...)); !slices.Equal(got, hints) {
		t.Errorf("by mini-vercel.json: %q", got)
	}
	on := true
	if shown, err := p.UpdateProject(t.Context(), p.me, project.ID, controlplane.ProjectPatch{EarlyHints: &on}); err != nil || !shown.EarlyHints {
		t.Fatalf("%+v, %v", shown, err)
	}
	d := p.deployRules(project.ID, site.RuleSources{}, page("three")...)
	if got := sent(d); !slices.Equal(got, hints) {
		t.Errorf("by the project: %q", got)
	}
	if got := p.explain(d.DeploymentURL, func(in *controlplane.ExplainInput) { in.Method = "HEAD" }).File.EarlyHints; len(got) > 0 {
		t.Errorf("of HEAD: %q", got)
	}
	if got := sent(p.deployRules(project.ID, site.RuleSources{Config: `{"earlyHints":false}`}, page("four")...)); len(got) > 0 {
		t.Errorf("mini-vercel.json wins: %q", got)
	}
}
