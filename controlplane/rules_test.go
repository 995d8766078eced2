package controlplane_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// ruledUpload begins a deployment of files and hands in a manifest with rules.
func (p *plane) ruledUpload(project string, rules site.RuleSources) (id string, warnings []controlplane.Warning, err error) {
	p.t.Helper()
	d, _, err := p.CreateDeployment(p.t.Context(), p.me, controlplane.UploadInput{ProjectID: project, Kind: controlplane.KindFiles})
	if err != nil {
		p.t.Fatal(err)
	}
	warnings, err = p.handInRules(d.ID, rules)
	return d.ID, warnings, err
}

func (p *plane) handInRules(id string, rules site.RuleSources) ([]controlplane.Warning, error) {
	p.t.Helper()
	m := manifestOf(p.t, page)
	m.Meta.Rules = rules
	encoded, err := m.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	return p.PutManifest(p.t.Context(), actor(p.me), id, encoded)
}

func (p *plane) storedManifest(project, id string) *site.Manifest {
	p.t.Helper()
	o, err := p.raw.Get(p.t.Context(), site.ManifestKey(project, id), blob.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	defer o.Body.Close()
	encoded, err := io.ReadAll(o.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := site.DecodeManifest(encoded)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func (p *plane) logText(id string) (text string) {
	p.t.Helper()
	lines, _, err := p.Logs(p.t.Context(), p.me, id, controlplane.LogQuery{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, l := range lines {
		text += l.Text + "\n"
	}
	return text
}

func TestRulesAreCompiledIntoTheManifest(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	id, warnings, err := p.ruledUpload(project.ID, site.RuleSources{
		Config: `{"htmlHandling":"none"}`, Redirects: "/a /b 301\n/wrong\n/* /index.html 200", Headers: "/*\n  A: b\n  Vary: c",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []controlplane.Warning{
		{File: "_redirects", Line: 2, Reason: "a rule is FROM TO [STATUS]; this line has 1 part"},
		{File: "_headers", Line: 3, Reason: "the header Vary can't be set or removed by a rule"},
	}
	d, err := p.Deployment(t.Context(), p.me, id)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(warnings) != fmt.Sprint(want) || fmt.Sprint(d.Warnings) != fmt.Sprint(want) {
		t.Errorf("warned of %+v, and on the deployment of %+v", warnings, d.Warnings)
	}
	if got := p.logText(id); got != "Warning: _redirects:2: a rule is FROM TO [STATUS]; this line has 1 part\nWarning: _headers:3: the header Vary can't be set or removed by a rule\n" {
		t.Errorf("the log says\n%s", got)
	}
	m := p.storedManifest(project.ID, id)
	if all := m.Redirects().All(); len(all) != 1 || all[0].To != "/b" || len(m.HeaderRules().All()) != 1 {
		t.Errorf("compiled to %+v and %+v", all, m.HeaderRules().All())
	}
	if m.Meta.NotFound != site.NotFoundSPA || m.Meta.HTMLHandling != site.HTMLNone {
		t.Errorf("served by %+v", m.Meta)
	}
	// The same again adds nothing to the log; others do.
	if _, err := p.handInRules(id, site.RuleSources{Redirects: "/a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.handInRules(id, site.RuleSources{Redirects: "/a"}); err != nil {
		t.Fatal(err)
	}
	if got := p.logText(id); strings.Count(got, "_redirects:1:") != 1 || strings.Count(got, "\n") != 3 {
		t.Errorf("the log says\n%s", got)
	}
}

func TestRulesThatAClientCompiledDoNotCount(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
	if err != nil {
		t.Fatal(err)
	}
	m := manifestOf(t, page)
	redirects, _ := site.ParseRedirects("/* https://evil.example/:splat")
	m.SetRules(redirects, site.HeaderRules{})
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.PutManifest(t.Context(), actor(p.me), d.ID, encoded); err != nil {
		t.Fatal(err)
	}
	if all := p.storedManifest(project.ID, d.ID).Redirects().All(); len(all) != 0 {
		t.Errorf("kept %+v", all)
	}
}

func TestStrictRulesFailTheDeployment(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	strict := true
	if shown, err := p.UpdateProject(t.Context(), p.me, project.ID, controlplane.ProjectPatch{StrictRules: &strict}); err != nil || !shown.StrictRules {
		t.Fatal(shown, err)
	}
	if _, _, err := p.ruledUpload(project.ID, site.RuleSources{Redirects: "/a /b"}); err != nil {
		t.Errorf("without a wrong line: %v", err)
	}
	id, _, err := p.ruledUpload(project.ID, site.RuleSources{Redirects: "/a /b\n\n/wrong", Headers: "/*\n  Vary: x"})
	wantCode(t, err, controlplane.CodeInvalid)
	d, err2 := p.Deployment(t.Context(), p.me, id)
	if err2 != nil {
		t.Fatal(err2)
	}
	if d.Status != controlplane.StatusFail || !strings.HasPrefix(d.Reason, "_redirects:3: ") || len(d.Warnings) != 2 || !strings.Contains(err.Error(), "_redirects:3: ") {
		t.Errorf("it is %s: %s; warnings %v; the error %v", d.Status, d.Reason, d.Warnings, err)
	}
	if got := p.logText(id); !strings.Contains(got, "_redirects:3: ") || !strings.Contains(got, "_headers:2: ") {
		t.Errorf("the log says\n%s", got)
	}
	if _, warnings, err := p.ruledUpload(project.ID, site.RuleSources{Redirects: "/wrong", Config: `{"strictRules":false}`}); err != nil || len(warnings) != 1 {
		t.Errorf("a deployment that is lenient itself: %v, %v", warnings, err)
	}
}

func TestABuilderOfAStrictProjectFailsByItself(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	strict := true
	if _, err := p.UpdateProject(t.Context(), p.me, project.ID, controlplane.ProjectPatch{StrictRules: &strict}); err != nil {
		t.Fatal(err)
	}
	d := p.deploy(project.ID, "main")
	builder := p.claim(p.next())
	m := manifestOf(t, page)
	m.Meta.Rules.Redirects = "/wrong"
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := p.PutManifest(t.Context(), builder.actor, d.ID, encoded)
	wantCode(t, err, controlplane.CodeInvalid)
	got, err := p.Deployment(t.Context(), p.me, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != controlplane.StatusInProgress || len(warnings) != 1 || p.logText(d.ID) != "" {
		t.Errorf("it is %s, with %v", got.Status, warnings)
	}
}

func TestVeryManyWarningsAreCounted(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	for _, tt := range []struct {
		wrong, warnings int
		last            string
	}{
		{99, 99, "a rule is"}, {100, 100, "a rule is"}, {101, 101, "1 more lines"}, {5000, 101, "4900 more lines are left out"},
	} {
		_, warnings, err := p.ruledUpload(project.ID, site.RuleSources{Redirects: strings.Repeat("/wrong\n", tt.wrong)})
		if err != nil {
			t.Fatal(err)
		}
		if len(warnings) != tt.warnings || !strings.HasPrefix(warnings[len(warnings)-1].Reason, tt.last) {
			t.Errorf("%d wrong lines: %d warnings, the last %+v", tt.wrong, len(warnings), warnings[len(warnings)-1])
		}
	}
}

func TestGraceEndsWithPromotionAndRemoval(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	one := p.deployFiles(project.ID, site.Production, version(1))
	two := p.deployFiles(project.ID, site.Production, version(2))
	three := p.deployFiles(project.ID, site.Production, version(3))
	previous := func() (ids []string) {
		for _, v := range p.route(productionHost).Previous {
			ids = append(ids, v.Deployment)
		}
		return ids
	}
	if got := previous(); fmt.Sprint(got) != fmt.Sprint([]string{two.ID, one.ID}) {
		t.Fatalf("previous: %v", got)
	}
	if err := p.DeleteDeployment(t.Context(), p.me, two.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deleted one is off the list", func() bool { return fmt.Sprint(previous()) == fmt.Sprint([]string{one.ID}) })
	if _, err := p.Promote(t.Context(), p.me, one.ID, controlplane.PromoteInput{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the one before is on the list", func() bool { return fmt.Sprint(previous()) == fmt.Sprint([]string{three.ID}) })
	if _, err := p.Promote(t.Context(), p.me, three.ID, controlplane.PromoteInput{NoGrace: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no grace leaves nobody on the list", func() bool { return p.production() == three.ID && len(previous()) == 0 })
}
