package site

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// RedirectsName is the file in the root of a deployed folder that holds
// redirects and rewrites. It is not served.
const RedirectsName = "_redirects"

// The most that a _redirects file may have.
const (
	MaxStaticRedirects  = 2000 // without * and :name
	MaxDynamicRedirects = 100
	MaxRedirectLine     = 1000 // characters
)

// MaxProblems is how many lines of a rules file may be wrong: after so many it is
// not read on.
const MaxProblems = 10_000

// Problem is a line of a rules file that is wrong, and was left out.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"` // 0: the file as a whole
	Reason string `json:"reason"`
}

// String writes the problem as compilers do.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Reason
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Reason)
}

// Redirects are the rules of a _redirects file, ready to be executed. Those
// without placeholders are found by one look-up, the others are compared one
// after the other. They are read-only.
type Redirects struct {
	rules  []redirect // static ones first, both kinds in the order of their lines
	static map[string]uint16

	// shell is the line that makes the site a single-page application; 0: none.
	shell int
}

// redirect is one rule. Its texts are ASCII, encoded as they are sent.
type redirect struct {
	line   uint32
	status uint16
	shell  bool // only for pages, and only where nothing else is found
	from   pattern
	to     template
}

// Redirect is one rule of a _redirects file, for people.
type Redirect struct {
	Line   int    `json:"line"`
	From   string `json:"from"`
	To     string `json:"to"`
	Status int    `json:"status"` // 200 rewrites within the site, without the browser's knowing
	Shell  bool   `json:"shell,omitempty"`
}

// All returns the rules in the order in which they are tried.
func (r *Redirects) All() []Redirect {
	all := make([]Redirect, len(r.rules))
	for i := range r.rules {
		all[i] = r.rules[i].show()
	}
	return all
}

func (r *redirect) show() Redirect {
	return Redirect{int(r.line), r.from.text, r.to.text, int(r.status), r.shell}
}

// ShellLine returns the line that makes the site a single-page application, as
// "/* /index.html 200" does, or 0.
func (r *Redirects) ShellLine() int { return r.shell }

// ParseRedirects reads a _redirects file. Lines that are wrong are left out and
// reported.
func ParseRedirects(text string) (Redirects, []Problem) {
	p := redirectsParser{seen: map[string]int{}}
	for line, text := range ruleLines(text) {
		if len(p.problems) == MaxProblems {
			p.problems = append(p.problems, restUnread(RedirectsName, line))
			break
		}
		p.line(line, text)
	}
	r := Redirects{rules: append(p.static, p.dynamic...), shell: p.shell}
	r.index()
	p.problems = append(p.problems, r.dropLoops()...)
	slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Line - b.Line })
	return r, p.problems
}

// restUnread says that a file is not read from a line on.
func restUnread(file string, line int) Problem {
	return Problem{file, line, fmt.Sprintf("%d lines above are wrong: this one and those below are not read", MaxProblems)}
}

// ruleLines yields the lines of a rules file that say something, with their
// numbers, without the white space around them.
func ruleLines(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
			number++
			line = strings.TrimSpace(line)
			if line != "" && line[0] != '#' && !yield(number, line) {
				return
			}
		}
	}
}

// checkLine says what is wrong with a line, whatever it is to mean.
func checkLine(line string, most int) error {
	if n := utf8.RuneCountInString(line); n > most {
		return fmt.Errorf("the line has %d characters, the most is %d", n, most)
	}
	if !utf8.ValidString(line) {
		return errors.New("the line is not valid UTF-8")
	}
	for i := range len(line) {
		if line[i] < 0x20 && line[i] != '\t' || line[i] == 0x7f {
			return errors.New("the line has a control character")
		}
	}
	return nil
}

// redirectsParser reads one file.
type redirectsParser struct {
	static, dynamic []redirect
	shell           int
	seen            map[string]int // lines by from
	problems        []Problem
}

func (p *redirectsParser) line(number int, text string) {
	if err := p.rule(number, text); err != nil {
		p.problems = append(p.problems, Problem{RedirectsName, number, err.Error()})
	}
}

func (p *redirectsParser) rule(number int, text string) error {
	if err := checkLine(text, MaxRedirectLine); err != nil {
		return err
	}
	words := strings.Fields(text)
	for i := range words {
		if i > 0 && words[i][0] == '#' {
			words = words[:i]
			break
		}
	}
	if len(words) < 2 || len(words) > 3 {
		return fmt.Errorf("a rule is FROM TO [STATUS]; this line has %s", plural(len(words), "part"))
	}
	rule := redirect{line: uint32(number), status: http.StatusFound}
	if len(words) == 3 {
		status, err := strconv.Atoi(words[2])
		if err != nil || !redirectStatus(status) {
			return fmt.Errorf("the status is one of 200, 301, 302, 303, 307 and 308, not %q", words[2])
		}
		rule.status = uint16(status)
	}
	names, err := rule.setFrom(words[0])
	if err != nil {
		return err
	}
	if err := rule.setTo(words[1], names); err != nil {
		return err
	}
	return p.add(rule)
}

// redirectStatus reports whether a rule may have that status.
func redirectStatus(status int) bool {
	switch status {
	case 200, 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// add takes a rule that is right by itself in among the others.
func (p *redirectsParser) add(rule redirect) error {
	from := rule.from.text
	if first := p.seen[from]; first > 0 {
		return fmt.Errorf("line %d has the path %s already, and the first one counts", first, from)
	}
	root, shell := rule.isShell()
	switch {
	case root:
		p.shell = int(rule.line)
	case !rule.from.static():
		if len(p.dynamic) == MaxDynamicRedirects {
			return fmt.Errorf("there are more than %d rules with * or :name", MaxDynamicRedirects)
		}
		if rule.shell = shell; shell {
			rule.status = http.StatusOK
		}
		p.dynamic = append(p.dynamic, rule)
	case rule.status != http.StatusOK && (rule.to.text == from+"index.html" || rule.to.text == from+"index"):
		return fmt.Errorf("the rule leads back to itself: %s is where %sindex.html answers; leave it out, or use status 200", from, from)
	case len(p.static) == MaxStaticRedirects:
		return fmt.Errorf("there are more than %d rules without * and :name", MaxStaticRedirects)
	default:
		p.static = append(p.static, rule)
	}
	p.seen[from] = int(rule.line)
	return nil
}

// isShell reports whether a rule is what others write for a single-page
// application, "/app/* /app/index.html 200": taken by the word it would answer
// for every script and style below /app/ too, or lead back to itself. So it
// answers for pages that nothing else is found for. root: for the whole site.
func (r *redirect) isShell() (root, shell bool) {
	folder, ok := strings.CutSuffix(r.from.text, "/*")
	if !ok || len(r.from.parts) != 2 || !r.to.constant() {
		return false, false
	}
	switch rest, ok := strings.CutPrefix(r.to.text, folder+"/"); {
	case !ok:
	case rest == "index.html", rest == "index", rest == "" && r.status == http.StatusOK:
		return folder == "", true
	}
	return false, false
}

// setFrom reads the path that a rule is for.
func (r *redirect) setFrom(word string) (names []string, err error) {
	from, _, _ := strings.Cut(word, "#")
	from, _, _ = strings.Cut(from, "?")
	if strings.Contains(from, "://") {
		return nil, fmt.Errorf("FROM is a path, such as /old; rules are for all hosts of the site, not for %s", word)
	}
	if !strings.HasPrefix(from, "/") {
		from = "/" + from
	}
	if from, err = rulePath(from); err != nil {
		return nil, fmt.Errorf("FROM %w", err)
	}
	if r.from, names, err = newPattern(from, nil); err != nil {
		return nil, fmt.Errorf("FROM %w", err)
	}
	return names, nil
}

// setTo reads where a rule leads.
func (r *redirect) setTo(word string, names []string) error {
	const scheme = "https://"
	rest, absolute := strings.CutPrefix(word, scheme)
	host := ""
	switch {
	case absolute && r.status == http.StatusOK:
		return errors.New("a rule with status 200 rewrites within the site: proxying to another host is not offered")
	case absolute:
		n := strings.IndexAny(rest, "/?#")
		if n < 0 {
			n = len(rest)
		}
		host, rest = rest[:n], rest[n:]
		if err := checkTargetHost(host, names); err != nil {
			return err
		}
	case !strings.HasPrefix(word, "/"):
		return fmt.Errorf("TO is a path that begins with / or an https:// URL, not %q", word)
	}
	path, after := rest, ""
	if n := strings.IndexAny(rest, "?#"); n >= 0 {
		path, after = rest[:n], rest[n:]
	}
	path, err := rulePath(path)
	if err != nil {
		return fmt.Errorf("TO %w", err)
	}
	if !absolute {
		path = foldFront(path)
	}
	if r.status == http.StatusOK {
		after = "" // nobody sees it
	}
	to := path + string(encodeRule(after))
	if absolute {
		to = scheme + host + to
	}
	r.to = newTemplate(to, names)
	return nil
}

// checkTargetHost says what is wrong with the host of a target. A placeholder
// in it must not choose the domain: the rule would lead anybody anywhere.
func checkTargetHost(host string, names []string) error {
	t := newTemplate(host, names)
	last := t.parts[len(t.parts)-1]
	end := t.text[last.start:last.end]
	if !t.constant() && (end == "" || end[0] != '.' || len(end) < 2) {
		return fmt.Errorf("TO lets its path choose the domain; a placeholder in a host needs a fixed end, as in https://:name.example.com")
	}
	var sample []byte
	for _, p := range t.parts {
		sample = append(sample, t.text[p.start:p.end]...)
		if p.placeholder != endPart {
			sample = append(sample, 'x')
		}
	}
	if _, err := NormalHost(string(sample)); err != nil {
		return fmt.Errorf("TO has the host %q, which is none; write names beyond ASCII as punycode", host)
	}
	return nil
}

// rulePath brings a path of a rule into the form in which it is sent.
func rulePath(path string) (string, error) {
	if strings.Contains(path, "\\") {
		return "", errors.New("has a backslash; write / instead")
	}
	path = string(encodeRule(path))
	for i := range len(path) {
		if path[i] == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2])) {
			return "", errors.New("has a % that no two hexadecimal digits follow; write %25 for the character")
		}
	}
	if path != "" && path[0] == '/' {
		if _, err := DecodePath(path); err != nil {
			return "", errors.New("is too long, or has a control character")
		}
	}
	return path, nil
}

// encodeRule percent-encodes what a browser would before it sends it.
func encodeRule(s string) []byte {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c <= 0x20, c >= 0x7f, c == '"', c == '<', c == '>', c == '`', c == '{', c == '}':
			b = append(b, '%', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// foldFront makes one slash of those at the front: two begin another host.
func foldFront(path string) string {
	n := 0
	for n+1 < len(path) && path[n] == '/' && path[n+1] == '/' {
		n++
	}
	return path[n:]
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// index makes what static rules are found by.
func (r *Redirects) index() {
	n := 0
	for n < len(r.rules) && r.rules[n].from.static() {
		n++
	}
	r.static = nil
	if n == 0 {
		return
	}
	r.static = make(map[string]uint16, n)
	for i := range n {
		r.static[r.rules[i].from.text] = uint16(i)
	}
}

// find returns the first rule that a path, as sent, matches, or -1. What its
// placeholders stand for is in the matcher's captures.
func (r *Redirects) find(m *matcher, path string) int {
	if len(r.rules) == 0 {
		return -1
	}
	if i, ok := r.static[path]; ok {
		return int(i)
	}
	for i := len(r.static); i < len(r.rules); i++ {
		if rule := &r.rules[i]; !rule.shell {
			m.count = 0
			if m.match(&rule.from, path, '/') {
				return i
			}
		}
	}
	return -1
}

// findShell returns the first rule that has a page for what is not found.
func (r *Redirects) findShell(m *matcher, path string) int {
	for i := len(r.static); i < len(r.rules); i++ {
		if rule := &r.rules[i]; rule.shell {
			m.count = 0
			if m.match(&rule.from, path, '/') {
				return i
			}
		}
	}
	return -1
}

// location is where a rule sends a request: with the rule's query if it has
// one, or else the request's. It never begins with two slashes.
func (r *redirect) location(captures []string, query string) string {
	to := r.to.text
	if !r.to.constant() {
		to = string(r.to.appendTo(make([]byte, 0, len(to)+64), captures))
	}
	if to[0] == '/' {
		to = foldFront(to)
	}
	if query == "" {
		return to
	}
	fragment := len(to)
	if i := strings.IndexByte(to, '#'); i >= 0 {
		fragment = i
	}
	if strings.IndexByte(to[:fragment], '?') >= 0 {
		return to
	}
	return to[:fragment] + "?" + query + to[fragment:]
}

// mostHops is how far a chain of redirects is followed.
const mostHops = 4

// dropLoops takes out rules that lead a browser back to themselves.
func (r *Redirects) dropLoops() (problems []Problem) {
	loops := make([]bool, len(r.rules))
	for i := range r.rules {
		if loops[i] = r.loops(i); loops[i] {
			problems = append(problems, Problem{RedirectsName, int(r.rules[i].line), "the rule leads back to itself: a browser would follow it for ever"})
		}
	}
	if problems == nil {
		return nil
	}
	kept := r.rules[:0]
	for i := range loops {
		if !loops[i] {
			kept = append(kept, r.rules[i])
		}
	}
	r.rules = kept
	r.index()
	return problems
}

// loops follows a rule's target, with placeholders that stand for what no rule
// names, and reports whether it comes to the rule again.
func (r *Redirects) loops(start int) bool {
	var m matcher
	for i := range m.captures {
		m.captures[i] = "~~"
	}
	at := start
	for range mostHops {
		rule := &r.rules[at]
		if rule.status == http.StatusOK || rule.to.text[0] != '/' {
			return false
		}
		target := rule.location(m.captures[:], "")
		if i := strings.IndexAny(target, "?#"); i >= 0 {
			target = target[:i]
		}
		if at = r.find(&m, target); at == start {
			return true
		}
		if at < 0 {
			return false
		}
	}
	return false
}
