package site

import "fmt"

// Serving are the settings of how a deployment is served.
type Serving struct {
	HTMLHandling HTMLHandling
	NotFound     NotFound
	EarlyHints   bool // what a page preloads is named in a 103 before it
	StrictRules  bool // a line of a rules file that is wrong fails the deployment
}

// StrictError says that a rules file has lines that are wrong, and that this is
// not to pass.
type StrictError struct{ Problems []Problem }

func (e *StrictError) Error() string {
	text := e.Problems[0].String()
	if more := len(e.Problems) - 1; more > 0 {
		text += fmt.Sprintf(" (and %s)", plural(more, "more line"))
	}
	return text + ". With strictRules a deployment has no wrong lines: mend or remove them"
}

// Compile works out how the manifest is served, from the sources in its meta
// data: by mini-vercel.json, or else by a project's settings; and compiles the
// rules. Early hints stay where they are wanted. It returns the lines that were left out. The error says what is wrong
// with mini-vercel.json, or is a [*StrictError]: all is compiled, but not to be
// published.
func (m *Manifest) Compile(settings Serving) ([]Problem, error) {
	var config Config
	if m.Meta.Rules.Config != "" {
		var err error
		if config, err = ParseConfig([]byte(m.Meta.Rules.Config)); err != nil {
			return nil, err
		}
	}
	if config.HTMLHandling != "" {
		settings.HTMLHandling = config.HTMLHandling
	}
	if config.StrictRules != nil {
		settings.StrictRules = *config.StrictRules
	}
	if config.EarlyHints != nil {
		settings.EarlyHints = *config.EarlyHints
	}
	if !settings.EarlyHints {
		m.hints = hintTable{}
	}
	redirects, problems := ParseRedirects(m.Meta.Rules.Redirects)
	line := redirects.ShellLine()
	switch config.NotFound {
	case "", NotFoundAuto, NotFoundSPA:
		if line > 0 {
			config.NotFound = NotFoundSPA
		}
	default:
		if line > 0 {
			problems = append(problems, Problem{RedirectsName, line, fmt.Sprintf("the line makes the site a %s, but %s sets notFound to %s, which counts", NotFoundSPA, ConfigName, config.NotFound)})
		}
	}
	if config.NotFound != "" {
		settings.NotFound = config.NotFound
	}
	headers, more := ParseHeaders(m.Meta.Rules.Headers)
	problems = append(problems, more...)
	m.Meta.HTMLHandling, m.Meta.NotFound = settings.HTMLHandling, settings.NotFound
	m.SetRules(redirects, headers)
	if settings.StrictRules && len(problems) > 0 {
		return problems, &StrictError{problems}
	}
	return problems, nil
}
