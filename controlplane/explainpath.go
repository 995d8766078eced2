package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// unreadable logs why a record of the bucket can't be had, and tells a person so.
func (s *Service) unreadable(key string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	s.log.Error("an address can't be explained: the bucket could not be read", "key", key, "error", err)
	return Errorf(CodeUnavailable, "The bucket does not answer, or what it holds is damaged, so what edges see can't be told. Try again in a moment; the log of the control plane says more.")
}

// explainDeployment reads the manifest that an edge would.
func (x *explainer) explainDeployment(ctx context.Context) (goesOn bool, err error) {
	id := x.route.Deployment
	x.Deployment = id
	text := short(id)
	if d := x.leads; d != nil && d.ID == id {
		if d.Source.Branch != "" {
			text += fmt.Sprintf(", branch %s", d.Source.Branch)
		}
		if d.Source.Commit != "" {
			text += " at " + d.Source.Commit[:min(len(d.Source.Commit), 7)]
		}
		if message, _, _ := strings.Cut(d.Message, "\n"); message != "" {
			text += fmt.Sprintf(", %q", cut(message, 60))
		}
	}
	x.manifest, err = x.s.manifest(ctx, x.project.ID, id)
	if errors.Is(err, fs.ErrNotExist) {
		x.step("deployment", "%s: its manifest is not in the bucket", text)
		x.decide(http.StatusBadGateway, "The file could not be read")
		return false, nil
	}
	if err != nil {
		return false, x.s.unreadable(site.ManifestKey(x.project.ID, id), err)
	}
	x.step("deployment", "%s: %d files", text, x.manifest.Len())
	return true, nil
}

// explainPath says what the deployment answers at the path.
func (x *explainer) explainPath(ctx context.Context) {
	q := site.Request{Method: x.Method, Host: x.route.Host, Path: x.address.EscapedPath(), Query: x.address.RawQuery, Accept: x.accept}
	d := x.manifest.Decide(&q)
	if d.Outcome == site.Malformed {
		x.step("file", "The path is too long, or has characters that no address has")
		x.decide(http.StatusBadRequest, "Bad request")
		return
	}
	x.explainRule(&d)
	of := x.route.Deployment
	if d.Outcome == site.Shell || d.Outcome == site.Missing {
		if f, earlier := x.grace(ctx, d.Path); earlier != "" {
			d.Find(f, d.Path)
			of = earlier
		}
	}
	x.explainOutcome(&d, of)
}

// grace finds an immutable file in an earlier deployment that still counts.
func (x *explainer) grace(ctx context.Context, path string) (f site.File, deployment string) {
	for _, previous := range x.route.Previous {
		if !x.s.now().Before(previous.Until) {
			continue
		}
		m, err := x.s.manifest(ctx, x.project.ID, previous.Deployment)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				x.Steps[len(x.Steps)-1].Warning = fmt.Sprintf("The manifest of the earlier deployment %s could not be read: a file of it may count here.", short(previous.Deployment))
			}
			continue
		}
		if f, ok := m.Lookup(path); ok && f.Immutable() {
			return f, previous.Deployment
		}
	}
	return f, ""
}

// explainRule says which rule of _redirects counted, and why.
func (x *explainer) explainRule(d *site.Decision) {
	redirects := x.manifest.Redirects()
	path := d.Asked().Path
	rule, ok := d.Rule()
	if !ok {
		switch n := len(redirects.All()); {
		case n == 1:
			x.step("rule", "The one rule of %s does not match %s", site.RedirectsName, path)
		case n > 1:
			x.step("rule", "None of the %d rules of %s matches %s", n, site.RedirectsName, path)
		default:
			x.step("rule", "No redirects or rewrites")
		}
		return
	}
	why := path + " is this rule's path"
	if strings.Contains(rule.From, "*") || rule.From != path {
		why = fmt.Sprintf("%s matches %s", path, rule.From)
	}
	for i, p := range d.Placeholders() {
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		why += fmt.Sprintf("%s:%s is %q", separator, p.Name, p.Value)
	}
	switch {
	case rule.Shell:
		why += "; it is for pages that nothing else is found for"
	case rule.Status == http.StatusOK:
		why += "; it is rewritten to " + d.Path
	default:
		why += "; it is redirected"
	}
	x.step("rule", "%s", why).Lines = []RuleLine{x.line(site.RedirectsName, rule.Line)}
}

// line is a line of the deployment's rules as it was written.
func (x *explainer) line(file string, number int) RuleLine {
	lines, ok := x.lines[file]
	if !ok {
		text := x.manifest.Meta.Rules.Redirects
		if file == site.HeadersName {
			text = x.manifest.Meta.Rules.Headers
		}
		lines = strings.Split(text, "\n")
		x.lines[file] = lines
	}
	text := lines[min(max(number, 1), len(lines))-1]
	return RuleLine{File: file, Line: number, Text: strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))}
}

// explainOutcome says what the file is, or what is answered without one.
func (x *explainer) explainOutcome(d *site.Decision, of string) {
	asked := d.Asked()
	switch d.Outcome {
	case site.Redirected:
		x.Steps[len(x.Steps)-1].Decides = true
		x.redirect(d.Status, d.Location)
		x.Headers = x.edited(d, header("Cache-Control", site.CacheRevalidate))
		x.Headers = append(x.Headers, header("Location", d.Location))
	case site.Moved:
		x.step("file", "%s answers at %s (%s)", d.File.Path(), strings.TrimSuffix(d.Location, query(asked.Query)), x.htmlHandling()).Decides = true
		x.redirect(d.Status, d.Location)
		x.Headers = x.edited(d, header("Cache-Control", site.CacheRevalidate))
		x.Headers = append(x.Headers, header("Location", d.Location))
	case site.Options:
		x.step("file", "%s%s", d.File.Path(), x.earlier(of)).Decides = true
		x.Status, x.Answer = d.Status, fmt.Sprintf("%d, what may be done with %s", d.Status, d.File.Path())
		x.Headers = x.edited(d, header("Allow", allowed), header("Cache-Control", site.CacheRevalidate))
	case site.NotAllowed:
		x.step("file", "%s%s, which can only be read", d.File.Path(), x.earlier(of))
		x.decide(d.Status, "Method not allowed")
	case site.Served:
		text := d.File.Path() + x.earlier(of)
		if home := site.CanonicalPath(d.File.Path()); home != asked.Path && !d.Rewrite {
			text += fmt.Sprintf(", which answers at %s (%s)", asked.Path, x.htmlHandling())
		}
		x.step("file", "%s", text).Decides = true
		x.send(d, of)
	default:
		x.explainMissing(d, of)
	}
}

// query is a query with its question mark.
func query(q string) string {
	if q == "" {
		return ""
	}
	return "?" + q
}

func (x *explainer) earlier(of string) string {
	if of == x.route.Deployment {
		return ""
	}
	return fmt.Sprintf(" of the earlier deployment %s, which open pages may still ask for", short(of))
}

// explainMissing says why nothing is found, and what is answered for it.
func (x *explainer) explainMissing(d *site.Decision, of string) {
	text := fmt.Sprintf("No file answers at %s (%s). ", d.Path, x.htmlHandling())
	var lines []RuleLine
	switch rule, ok := d.Rule(); {
	case d.Outcome == site.Shell && ok && rule.Shell:
		text += "The rule names the page for it"
	default:
		mode, from := x.notFound(d.Mode)
		if from.Line > 0 {
			lines = append(lines, from)
		}
		text += "notFound is " + mode
		switch {
		case d.Outcome == site.Shell:
			text += ": a page is answered by " + d.File.Path()
		case d.Mode == site.NotFoundSPA && d.Asset:
			text += ", which is for pages, and this is asked for as something else"
		case d.Mode == site.NotFoundSPA && !d.Asked().Reads():
			text += ", which is for GET and HEAD alone"
		case d.Mode == site.NotFoundSPA && !site.AcceptsHTML(d.Asked().Accept):
			text += ", which is for pages, and the request accepts none"
		case d.Mode == site.NotFoundSPA:
			text += ", but there is no /index.html"
		case d.HasFile:
			text += fmt.Sprintf(": %s is the nearest page", d.File.Path())
		case d.Mode == site.NotFoundPage:
			text += ", but there is no 404.html on the way up"
		}
	}
	step := x.step("file", "%s", text)
	step.Lines = append(step.Lines, lines...)
	if d.HasFile {
		step.Decides = true
		x.send(d, of)
		return
	}
	x.decide(d.Status, "Page not found")
	x.Headers = x.edited(d, x.Headers...)
}

func (x *explainer) htmlHandling() string {
	mode := x.manifest.Meta.HTMLHandling
	if mode == "" {
		mode = site.HTMLAuto
	}
	return "htmlHandling is " + string(mode)
}

// notFound says which mode counts and why.
func (x *explainer) notFound(mode site.NotFound) (text string, from RuleLine) {
	redirects := x.manifest.Redirects()
	set := x.manifest.Meta.NotFound
	config, err := site.ParseConfig([]byte(x.manifest.Meta.Rules.Config))
	switch line := redirects.ShellLine(); {
	case set == "" || set == site.NotFoundAuto:
		return fmt.Sprintf("%s (auto, by the files that there are)", mode), from
	case x.manifest.Meta.Rules.Config != "" && err == nil && config.NotFound == set:
		return fmt.Sprintf("%s (%s says so)", mode, site.ConfigName), from
	case line > 0 && mode == site.NotFoundSPA:
		return fmt.Sprintf("%s (%s says so)", mode, site.RedirectsName), x.line(site.RedirectsName, line)
	}
	return fmt.Sprintf("%s (a setting of the project's)", mode), from
}
