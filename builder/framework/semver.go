package framework

import (
	"regexp"
	"strconv"
	"strings"
)

// version is a semantic version without what stands behind a hyphen.
type version [3]int

func (v version) compare(w version) int {
	for i := range v {
		if v[i] != w[i] {
			return v[i] - w[i]
		}
	}
	return 0
}

// Newest is the highest of some versions, such as 20.20.2; none: there is none.
func Newest(versions []string) string {
	newest, highest := "", version{}
	for _, text := range versions {
		if p, ok := parsePartial(text); ok && p.parts == 3 && (newest == "" || p.compare(highest) > 0) {
			newest, highest = text, p.version
		}
	}
	return newest
}

// partial is a version of which the last parts may be missing or x.
type partial struct {
	version
	parts int
}

var versionText = regexp.MustCompile(`^[v=\s]*(\d{1,9}|[xX*])(?:\.(\d{1,9}|[xX*]))?(?:\.(\d{1,9}|[xX*]))?(?:[-+][0-9A-Za-z.+-]*)?$`)

func parsePartial(text string) (partial, bool) {
	if text == "" || text == "latest" {
		return partial{}, true
	}
	m := versionText.FindStringSubmatch(text)
	if m == nil {
		return partial{}, false
	}
	p := partial{}
	for i, part := range m[1:] {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		p.version[i] = n
		p.parts++
	}
	return p, true
}

// next is the first version behind all those that the partial stands for.
func (p partial) next(part int) version {
	v := version{}
	copy(v[:part+1], p.version[:part+1])
	v[part]++
	return v
}

var (
	hyphen   = regexp.MustCompile(`^\s*(\S+)\s+-\s+(\S+)\s*$`)
	operator = regexp.MustCompile(`(>=|<=|>|<|=|\^|~>?)\s*`)
)

// satisfies reports whether a version is in a range as npm understands it
// (node-semver's grammar). A range that can't be read is in no doubt: false, ok
// is false.
func satisfies(v version, text string) (in, ok bool) {
	for alternative := range strings.SplitSeq(text, "||") {
		all := true
		alternative = strings.TrimSpace(alternative)
		if m := hyphen.FindStringSubmatch(alternative); m != nil {
			alternative = ">=" + m[1] + " <=" + m[2]
		}
		alternative = operator.ReplaceAllString(alternative, " $1")
		for comparator := range strings.FieldsSeq(alternative) {
			one, valid := matchOne(v, comparator)
			if !valid {
				return false, false
			}
			all = all && one
		}
		in = in || all
	}
	return in, true
}

func matchOne(v version, comparator string) (in, ok bool) {
	text := strings.TrimLeft(comparator, "<>=^~")
	op := strings.TrimSuffix(comparator, text)
	p, ok := parsePartial(text)
	if !ok || text == "" {
		return false, false
	}
	if p.parts == 0 {
		return op != "<" && op != ">", true
	}
	low, last := p.version, p.next(p.parts-1)
	if p.parts == 3 {
		last = p.next(2)
	}
	from, to := v.compare(low) >= 0, v.compare(last) < 0
	switch op {
	case "", "=":
		return from && to, true
	case ">=":
		return from, true
	case ">":
		return !to, true
	case "<":
		return !from, true
	case "<=":
		return to, true
	case "~", "~>":
		return from && v.compare(p.next(min(1, p.parts-1))) < 0, true
	case "^":
		part := 0
		for part < p.parts-1 && p.version[part] == 0 {
			part++
		}
		return from && v.compare(p.next(part)) < 0, true
	}
	return false, false
}
