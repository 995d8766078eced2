package site

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The rules of a manifest, encoded: seven little-endian 32-bit counts
// (redirects, header rules, lines of these, parts, bytes of text, the line that
// makes the site a single-page application, and 0), then columns: numbers of
// lines in 32 bits, everything else in 16; the parts; the texts, one after the
// other. A text's length stands in the row that it belongs to, as does how many
// parts it has.
const (
	rulesWords   = 7
	shellStatus  = 1 << 15 // of a status: the rule is for pages that are not found
	removedField = 1       // of a header's flags
)

const (
	redirectColumns   = 5 // status, and of from and to: bytes, parts
	headerRuleColumns = 5 // of host and path: bytes, parts; fields
	headerFieldColumn = 4 // flags, bytes of name; of the value: bytes, parts
)

// rulesWriter gathers columns.
type rulesWriter struct {
	lines, rows, parts, text []byte
	partCount                int
}

func (w *rulesWriter) row(values ...int) {
	for _, v := range values {
		w.rows = binary.LittleEndian.AppendUint16(w.rows, uint16(v))
	}
}

func (w *rulesWriter) wording(text string, parts []part) {
	w.text = append(w.text, text...)
	for _, p := range parts {
		w.parts = binary.LittleEndian.AppendUint16(w.parts, p.start)
		w.parts = binary.LittleEndian.AppendUint16(w.parts, p.end)
		w.parts = binary.LittleEndian.AppendUint16(w.parts, p.placeholder)
		w.partCount++
	}
}

// appendRules appends the encoded rules, or nothing where there are none.
func (m *Manifest) appendRules(b []byte) []byte {
	redirects, headers := &m.redirects, &m.headers
	if len(redirects.rules)+len(headers.rules)+redirects.shell == 0 {
		return b
	}
	var w rulesWriter
	for i := range redirects.rules {
		r := &redirects.rules[i]
		status := int(r.status)
		if r.shell {
			status |= shellStatus
		}
		w.lines = binary.LittleEndian.AppendUint32(w.lines, r.line)
		w.row(status, len(r.from.text), len(r.from.parts), len(r.to.text), len(r.to.parts))
		w.wording(r.from.text, r.from.parts)
		w.wording(r.to.text, r.to.parts)
	}
	for i := range headers.rules {
		r := &headers.rules[i]
		w.lines = binary.LittleEndian.AppendUint32(w.lines, r.line)
		w.row(len(r.host.text), len(r.host.parts), len(r.path.text), len(r.path.parts), len(r.fields))
		w.wording(r.host.text, r.host.parts)
		w.wording(r.path.text, r.path.parts)
	}
	for i := range headers.fields {
		f := &headers.fields[i]
		flags := 0
		if f.remove {
			flags = removedField
		}
		w.lines = binary.LittleEndian.AppendUint32(w.lines, f.line)
		w.row(flags, len(f.name), len(f.value.text), len(f.value.parts))
		w.wording(f.name, nil)
		w.wording(f.value.text, f.value.parts)
	}
	for _, n := range [rulesWords]int{len(redirects.rules), len(headers.rules), len(headers.fields), w.partCount, len(w.text), redirects.shell, 0} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	b = append(b, w.lines...)
	b = append(b, w.rows...)
	b = append(b, w.parts...)
	return append(b, w.text...)
}

var errRules = errors.New("they are damaged")

// rulesReader hands out what the columns hold, in their order.
type rulesReader struct {
	lines []uint32
	rows  []uint16
	parts []part
	text  string
	err   error
}

func (r *rulesReader) line() uint32 {
	n := r.lines[0]
	r.lines = r.lines[1:]
	if n == 0 {
		r.err = errRules
	}
	return n
}

func (r *rulesReader) row(n int) []uint16 {
	row := r.rows[:n]
	r.rows = r.rows[n:]
	return row
}

// wording takes the next text with its parts, and checks that they are of it:
// in order, within it, each but the last with a placeholder below most, and a
// placeholder's text between any two.
func (r *rulesReader) wording(length, count uint16, most int) (string, []part) {
	if int(length) > len(r.text) || int(count) > len(r.parts) {
		r.err = errRules
		return "", nil
	}
	text, parts := r.text[:length], r.parts[:count:count]
	r.text, r.parts = r.text[length:], r.parts[count:]
	at := uint16(0)
	for i, p := range parts {
		last := i == len(parts)-1
		switch {
		case p.start < at || p.end < p.start || p.end > length, i == 0 && p.start != 0, i > 0 && p.start == parts[i-1].end:
			r.err = errRules
		case last && (p.end != length || p.placeholder != endPart), !last && (int(p.placeholder) >= most || p.end == length):
			r.err = errRules
		}
		if r.err != nil {
			return "", nil
		}
		at = p.end
	}
	return text, parts
}

// pattern takes the next pattern, whose placeholders have the numbers from first
// on.
func (r *rulesReader) pattern(length, count uint16, first int) pattern {
	text, parts := r.wording(length, count, first+int(count))
	splats := 0
	for i := range len(parts) - 1 {
		if int(parts[i].placeholder) != first+i {
			r.err = errRules
			return pattern{}
		}
		if text[parts[i].end] == '*' {
			splats++
		}
	}
	if splats > 1 || first+int(count) > MaxPlaceholders+1 || !visible(text) {
		r.err = errRules
	}
	return pattern{text, parts}
}

func (r *rulesReader) template(length, count uint16, most int) template {
	text, parts := r.wording(length, count, most)
	return template{text, parts}
}

// visible reports whether s is ASCII without spaces and control characters.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// parseRules reads what appendRules wrote and checks it, so that no method fails
// and nothing that was not checked becomes a header.
func (m *Manifest) parseRules(b []byte) error {
	c := columnReader{rest: b}
	var n [rulesWords]int
	for i, w := range c.uint32s(rulesWords) {
		n[i] = int(w)
	}
	redirects, headers, fields := n[0], n[1], n[2]
	if redirects+headers+n[5] == 0 { // it has none, and would say so by its version
		return errRules
	}
	if c.short || redirects > MaxStaticRedirects+MaxDynamicRedirects || headers > MaxHeaderRules || fields > MaxHeaderFields || n[3] > len(b) || n[6] != 0 {
		return errRules
	}
	r := rulesReader{
		lines: c.uint32s(redirects + headers + fields),
		rows:  c.uint16s(redirects*redirectColumns + headers*headerRuleColumns + fields*headerFieldColumn),
	}
	numbers := c.uint16s(3 * n[3])
	r.text = unsafeString(c.take(n[4]))
	if c.short || len(c.rest) != 0 {
		return errRules
	}
	r.parts = make([]part, len(numbers)/3)
	for i := range r.parts {
		r.parts[i] = part{numbers[3*i], numbers[3*i+1], numbers[3*i+2]}
	}
	m.copied += 6*len(r.parts) + 160*redirects + 160*headers + 80*fields
	if err := m.redirects.read(&r, redirects, n[5]); err != nil {
		return err
	}
	if err := m.headers.read(&r, headers, fields); err != nil {
		return err
	}
	if len(r.parts) != 0 || r.text != "" {
		return errRules
	}
	return nil
}

func (d *Redirects) read(r *rulesReader, count, shell int) error {
	d.shell = shell
	d.rules = make([]redirect, count)
	dynamic := 0
	for i := range d.rules {
		row := r.row(redirectColumns)
		rule := redirect{line: r.line(), status: row[0] &^ shellStatus, shell: row[0]&shellStatus != 0}
		rule.from = r.pattern(row[1], row[2], 0)
		rule.to = r.template(row[3], row[4], max(int(row[2])-1, 0))
		if r.err != nil {
			return r.err
		}
		if len(rule.from.parts) > 1 {
			dynamic++
		}
		if err := rule.check(dynamic > 0); err != nil {
			return err
		}
		d.rules[i] = rule
	}
	d.index()
	if dynamic > MaxDynamicRedirects || count-dynamic > MaxStaticRedirects || len(d.static) != count-dynamic {
		return errRules
	}
	return nil
}

// check says what is wrong with a rule that was read. Behind the first dynamic
// one there are no others.
func (r *redirect) check(dynamic bool) error {
	from, to := r.from.text, r.to.text
	if !strings.HasPrefix(from, "/") || r.from.static() == dynamic || len(r.from.parts) == 0 || len(r.to.parts) == 0 {
		return errRules
	}
	if !redirectStatus(int(r.status)) || !visible(to) || !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "https://") {
		return errRules
	}
	if to[0] != '/' && r.status == http.StatusOK || r.shell && (r.status != http.StatusOK || !dynamic) {
		return errRules
	}
	if literal := to[r.to.parts[0].start:r.to.parts[0].end]; !strings.HasPrefix(literal, "/") && !strings.HasPrefix(literal, "https://") {
		return errRules // nothing that a request says comes first
	}
	return nil
}

func (h *HeaderRules) read(r *rulesReader, count, fields int) error {
	h.rules, h.fields = make([]headerRule, count), make([]headerField, fields)
	next := 0
	names := make([]int, fields) // how many placeholders a field's rule has
	for i := range h.rules {
		row := r.row(headerRuleColumns)
		rule := &h.rules[i]
		rule.line = r.line()
		rule.host = r.pattern(row[0], row[1], 0)
		hosts := max(int(row[1])-1, 0)
		rule.path = r.pattern(row[2], row[3], hosts)
		if r.err != nil {
			return r.err
		}
		if (len(rule.host.parts) == 0) != (rule.host.text == "") || !strings.HasPrefix(rule.path.text, "/") || len(rule.path.parts) == 0 {
			return errRules
		}
		if len(rule.host.parts) == 0 {
			rule.host.parts = nil
		}
		h.hosts = h.hosts || rule.host.parts != nil
		end := next + int(row[4])
		if end > fields {
			return errRules
		}
		for k := next; k < end; k++ {
			names[k] = hosts + int(row[3]) - 1
		}
		rule.fields = h.fields[next:end:end]
		next = end
	}
	if next != fields {
		return errRules
	}
	bytes := 0
	for i := range h.fields {
		row := r.row(headerFieldColumn)
		f := &h.fields[i]
		if bytes += int(row[1]) + int(row[2]); bytes > MaxHeaderBytes {
			return errRules
		}
		f.line, f.remove = r.line(), row[0] == removedField
		f.name, _ = r.wording(row[1], 0, 0)
		f.value = r.template(row[2], row[3], names[i])
		if r.err != nil {
			return r.err
		}
		if err := f.check(row[0]); err != nil {
			return err
		}
	}
	return nil
}

func (f *headerField) check(flags uint16) error {
	if flags > removedField || f.remove != (f.value.text == "") || len(f.value.parts) == 0 {
		return errRules
	}
	if !canonicalName(f.name) {
		return fmt.Errorf("the header %q is not written as it is sent", f.name)
	}
	if err := checkFieldName(f.name); err != nil {
		return err
	}
	for i := range len(f.value.text) {
		if c := f.value.text[i]; c < 0x20 || c == 0x7f {
			return errRules
		}
	}
	return nil
}

// canonicalName reports whether a header's name is in canonical form.
func canonicalName(name string) bool {
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && c >= 'a' && c <= 'z' || !upper && c >= 'A' && c <= 'Z' {
			return false
		}
		upper = c == '-'
	}
	return true
}
