package site

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"net/textproto"
	"strings"
)

// HeadersName is the file in the root of a deployed folder that holds header
// rules. It is not served.
const HeadersName = "_headers"

// The most that a _headers file may have.
const (
	MaxHeaderRules  = 100
	MaxHeaderFields = 2000 // lines that set or remove a header
	MaxHeaderLine   = 2000 // characters
	// MaxHeaderBytes is what all names and values have together. Browsers take no
	// more of one answer.
	MaxHeaderBytes = 256 << 10
	// MaxFilledBytes is what the values of one answer have together that
	// placeholders are in. A path is long, and a line can name it many times.
	MaxFilledBytes = 64 << 10
)

// HeaderRules are the rules of a _headers file, ready to be executed. They are
// read-only.
type HeaderRules struct {
	rules  []headerRule
	fields []headerField
	hosts  bool // some are for certain hosts only
}

// headerRule is one rule: a URL, and what happens to headers there.
type headerRule struct {
	line   uint32
	host   pattern // without parts: all hosts
	path   pattern
	fields []headerField
}

// headerField is one line of a rule.
type headerField struct {
	line   uint32
	name   string // in canonical form
	remove bool
	value  template // of one that is not removed
}

// HeaderRule is one rule of a _headers file, for people.
type HeaderRule struct {
	Line   int           `json:"line"`
	URL    string        `json:"url"` // a path, or https:// with a host and a path
	Fields []HeaderField `json:"fields"`
}

// HeaderField is one line of a [HeaderRule].
type HeaderField struct {
	Line   int    `json:"line"`
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Remove bool   `json:"remove,omitempty"`
}

// All returns the rules in their order.
func (h *HeaderRules) All() []HeaderRule {
	all := make([]HeaderRule, len(h.rules))
	for i := range h.rules {
		all[i] = h.rules[i].show()
	}
	return all
}

func (r *headerRule) show() HeaderRule {
	out := HeaderRule{Line: int(r.line), URL: r.path.text}
	if r.host.parts != nil {
		out.URL = "https://" + r.host.text + r.path.text
	}
	for i := range r.fields {
		f := &r.fields[i]
		out.Fields = append(out.Fields, HeaderField{int(f.line), f.name, f.value.text, f.remove})
	}
	return out
}

// ParseHeaders reads a _headers file. Lines that are wrong are left out and
// reported; those of a rule whose URL is wrong are left out with it.
func ParseHeaders(text string) (HeaderRules, []Problem) {
	p := headersParser{}
	for line, text := range ruleLines(text) {
		if len(p.problems) >= MaxProblems { // the end of a rule may bring one more
			p.problems = append(p.problems, restUnread(HeadersName, line))
			break
		}
		if err := p.line(line, text); err != nil {
			p.report(line, err)
		}
	}
	p.end()
	h := HeaderRules{rules: p.rules}
	h.index()
	return h, p.problems
}

// headersParser reads one file.
type headersParser struct {
	rules    []headerRule
	rule     *headerRule // what is being read; nil: none
	names    []string    // its placeholders
	fields   int         // of all rules
	bytes    int         // of their names and values
	wrong    bool        // the rule was left out, and its lines are too
	bad      bool        // a line of the rule was reported
	problems []Problem
}

func (p *headersParser) report(line int, err error) {
	p.problems = append(p.problems, Problem{HeadersName, line, err.Error()})
}

func (p *headersParser) line(number int, text string) error {
	if err := checkLine(text, MaxHeaderLine); err != nil {
		p.bad = true
		return err
	}
	if opensRule(text) {
		return p.begin(number, text)
	}
	switch {
	case p.wrong:
		return nil
	case p.rule == nil:
		return errors.New("a header stands below the URL that it is for, such as /*")
	}
	err := p.field(number, text)
	p.bad = p.bad || err != nil
	return err
}

// opensRule reports whether a line is meant as a URL. One with another scheme
// than https is wrong, but no header either.
func opensRule(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	return text[0] == '/' || ok && strings.IndexFunc(scheme, func(r rune) bool { return r >= 0x80 || !letter(byte(r)) }) < 0
}

// begin opens a rule.
func (p *headersParser) begin(number int, text string) error {
	p.end()
	p.wrong = true
	if len(p.rules) == MaxHeaderRules {
		return fmt.Errorf("there are more than %d rules", MaxHeaderRules)
	}
	rule := headerRule{line: uint32(number)}
	path, names := text, []string(nil)
	if rest, ok := strings.CutPrefix(text, "https://"); ok {
		n := strings.IndexByte(rest, '/')
		if n < 0 {
			n, rest = len(rest), rest+"/"
		}
		host := strings.ToLower(rest[:n])
		if strings.LastIndexByte(host, ':') > 0 && digits(host[strings.LastIndexByte(host, ':')+1:]) {
			return errors.New("a rule is for all ports of a host: leave the port out")
		}
		var err error
		if rule.host, names, err = newPattern(host, nil); err != nil {
			return fmt.Errorf("the URL %w", err)
		}
		if err := checkHostPattern(&rule.host); err != nil {
			return err
		}
		path = rest[n:]
	} else if text[0] != '/' {
		return fmt.Errorf("a rule begins with a path such as /*, or with https://, not with %q", text)
	}
	path, _, _ = strings.Cut(path, "#")
	path, _, _ = strings.Cut(path, "?")
	if strings.ContainsAny(path, " \t") {
		return errors.New("the URL has a space; write %20 for the character")
	}
	path, err := rulePath(path)
	if err != nil {
		return fmt.Errorf("the URL %w", err)
	}
	if rule.path, p.names, err = newPattern(path, names); err != nil {
		return fmt.Errorf("the URL %w", err)
	}
	p.rule, p.wrong, p.bad = &rule, false, false
	return nil
}

// checkHostPattern says what is wrong with the host of a rule.
func checkHostPattern(host *pattern) error {
	var sample []byte
	for i := range host.parts {
		sample = append(sample, host.literal(i)...)
		if host.parts[i].placeholder != endPart {
			sample = append(sample, 'x')
		}
	}
	if normal, err := NormalHost(string(sample)); err != nil || normal != string(sample) {
		return fmt.Errorf("the URL has the host %q, which is none; write names beyond ASCII as punycode", host.text)
	}
	return nil
}

// end closes the rule that is being read.
func (p *headersParser) end() {
	if p.rule == nil {
		return
	}
	if len(p.rule.fields) > 0 {
		p.rules = append(p.rules, *p.rule)
	} else if !p.bad {
		p.report(int(p.rule.line), errors.New("no header stands below the URL"))
	}
	p.rule = nil
}

// field reads a line that sets or removes a header.
func (p *headersParser) field(number int, text string) error {
	f := headerField{line: uint32(number)}
	name, value, colon := strings.Cut(text, ":")
	if rest, ok := strings.CutPrefix(text, "!"); ok {
		name, value, f.remove = rest, "", true
	} else if !colon {
		return errors.New("a header is written NAME: VALUE, or ! NAME to remove it")
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	f.name = textproto.CanonicalMIMEHeaderKey(name)
	if err := checkFieldName(f.name); err != nil {
		return err
	}
	if value == "" && !f.remove {
		return fmt.Errorf("the header %s has no value; write ! %s to remove it", name, name)
	}
	if strings.ContainsRune(value, '\t') {
		return errors.New("the value has a tab")
	}
	if p.fields == MaxHeaderFields {
		return fmt.Errorf("there are more than %d headers", MaxHeaderFields)
	}
	if p.bytes+len(f.name)+len(value) > MaxHeaderBytes {
		return fmt.Errorf("all headers together have more than %d KiB", MaxHeaderBytes>>10)
	}
	p.fields++
	p.bytes += len(f.name) + len(value)
	f.value = newTemplate(value, p.names)
	p.rule.fields = append(p.rule.fields, f)
	return nil
}

// checkFieldName says what is wrong with the name of a header that a rule sets
// or removes, in canonical form: it is a token (RFC 9110 section 5.6.2), and not
// one of those that the edge alone knows, or that HTTP itself needs.
func checkFieldName(name string) error {
	if name == "" {
		return errors.New("the header has no name")
	}
	for i := range len(name) {
		if c := name[i]; !letter(c) && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return fmt.Errorf("%q is not the name of a header", name)
		}
	}
	switch name {
	case "Accept-Ranges", "Age", "Allow", "Alt-Svc", "Connection", "Content-Encoding", "Content-Length", "Content-Range",
		"Date", "Etag", "Keep-Alive", "Location", "Server", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Vary":
		return fmt.Errorf("the header %s can't be set or removed by a rule", name)
	}
	if strings.HasPrefix(name, "Proxy-") {
		return fmt.Errorf("the header %s can't be set or removed by a rule: none of Proxy-* can", name)
	}
	// Orders to a proxy before the edge: to send a file of its own, among others.
	if strings.HasPrefix(name, "X-Accel-") || name == "X-Sendfile" || name == "X-Lighttpd-Send-File" || strings.HasPrefix(name, "X-Reproxy-") {
		return fmt.Errorf("the header %s can't be set or removed by a rule: it is an order to a proxy", name)
	}
	return nil
}

// index puts the fields of all rules together and notes whether hosts matter.
func (h *HeaderRules) index() {
	h.fields, h.hosts = nil, false
	for i := range h.rules {
		h.fields = append(h.fields, h.rules[i].fields...)
		h.hosts = h.hosts || h.rules[i].host.parts != nil
	}
	at := 0
	for i := range h.rules {
		n := len(h.rules[i].fields)
		h.rules[i].fields = h.fields[at : at+n : at+n]
		at += n
	}
}

// RuleSet is a set of header rules, by their numbers.
type RuleSet [(MaxHeaderRules + 63) / 64]uint64

// Empty reports whether no rule is in the set.
func (s RuleSet) Empty() bool { return s == RuleSet{} }

func (s *RuleSet) add(i int) { s[i/64] |= 1 << (i % 64) }

// all yields the numbers in the set, ascending.
func (s RuleSet) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(w*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

func (r *headerRule) match(m *matcher, host, path string) bool {
	m.count = 0
	return (r.host.parts == nil || m.match(&r.host, host, '.')) && m.match(&r.path, path, '/')
}

// matching returns the rules that a URL matches: a host in normal form, and a
// path as sent.
func (h *HeaderRules) matching(m *matcher, host, path string) (set RuleSet) {
	for i := range h.rules {
		if h.rules[i].match(m, host, path) {
			set.add(i)
		}
	}
	return set
}

// HeaderEdit is what all rules together do to one header.
type HeaderEdit struct {
	Name   string   // in canonical form
	Values []string // instead of what the edge would send; none: the header is not sent
}

// edits works out what a set of rules does at a URL that matches them all. In
// each rule what it removes comes first. The first value that is set replaces
// the edge's own, later ones are joined to it; cookies stay lines of their own.
func (h *HeaderRules) edits(set RuleSet, host, path string) []HeaderEdit {
	var edits headerEdits
	var m matcher
	filled := 0
	for i := range set.all() {
		if i >= len(h.rules) {
			break
		}
		rule := &h.rules[i]
		if !rule.match(&m, host, path) {
			continue
		}
		for k := range rule.fields {
			if f := &rule.fields[k]; f.remove {
				edits.of(f.name).Values = nil
			}
		}
		for k := range rule.fields {
			f := &rule.fields[k]
			if f.remove {
				continue
			}
			value := f.value.text
			if !f.value.constant() {
				if filled += f.value.filled(m.captures[:]); filled > MaxFilledBytes {
					continue // nobody takes so much
				}
				value = string(f.value.appendTo(nil, m.captures[:]))
			}
			e := edits.of(f.name)
			e.Values = append(e.Values, value)
		}
	}
	for i := range edits.all {
		if e := &edits.all[i]; len(e.Values) > 1 && e.Name != "Set-Cookie" {
			e.Values = []string{strings.Join(e.Values, ", ")}
		}
	}
	return edits.all
}

// headerEdits are edits of headers, each name once.
type headerEdits struct {
	all []HeaderEdit
	at  map[string]int // where a name is, once they are many
}

// fewEdits are so many that a look at all of them is faster than a map.
const fewEdits = 16

// of returns the edit of a name, which it adds where there is none. It is good
// until the next call.
func (h *headerEdits) of(name string) *HeaderEdit {
	if h.at == nil {
		for i := range h.all {
			if h.all[i].Name == name {
				return &h.all[i]
			}
		}
	} else if i, ok := h.at[name]; ok {
		return &h.all[i]
	}
	h.all = append(h.all, HeaderEdit{Name: name})
	switch {
	case h.at != nil:
		h.at[name] = len(h.all) - 1
	case len(h.all) > fewEdits:
		h.at = make(map[string]int, 4*fewEdits)
		for i := range h.all {
			h.at[h.all[i].Name] = i
		}
	}
	return &h.all[len(h.all)-1]
}

// vary reports whether what a set of rules does depends on more than which
// rules are in it: on what their placeholders stand for.
func (h *HeaderRules) vary(set RuleSet) bool {
	for i := range set.all() {
		for k := range h.rules[i].fields {
			if f := &h.rules[i].fields[k]; !f.remove && !f.value.constant() {
				return true
			}
		}
	}
	return false
}

// byHost reports whether what happens to headers at a path depends on the host.
func (h *HeaderRules) byHost(path string) bool {
	if !h.hosts {
		return false
	}
	var m matcher
	for i := range h.rules {
		if r := &h.rules[i]; r.host.parts != nil {
			// The numbers of its placeholders begin behind the host's.
			m.count = len(r.host.parts) - 1
			if m.match(&r.path, path, '/') {
				return true
			}
		}
	}
	return false
}
