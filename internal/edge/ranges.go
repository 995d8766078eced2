package edge

import "strings"

// byteRange is a part of a representation: length bytes from start.
type byteRange struct{ start, length int64 }

// maxRanges is how many ranges one request may ask for.
const maxRanges = 16

// rangesOutcome says what to do with a Range field.
type rangesOutcome uint8

const (
	rangesIgnored       rangesOutcome = iota // answer as if the field were not there
	rangesSatisfiable                        // 206 Partial Content
	rangesUnsatisfiable                      // 416 Range Not Satisfiable
)

// parseRanges reads a Range field for a representation of size bytes, RFC 9110
// section 14.2, and appends to into those of its ranges that can be satisfied,
// in their order. Ignored are other units, malformed fields, more than
// [maxRanges] ranges, and ranges that overlap: nobody who means well sends
// those, and they would make a small request a large answer.
func parseRanges(field string, size int64, into []byteRange) ([]byteRange, rangesOutcome) {
	const unit = "bytes="
	if len(field) < len(unit) || !strings.EqualFold(field[:len(unit)], unit) {
		return nil, rangesIgnored
	}
	specs, count := field[len(unit):], 0
	for specs != "" {
		var spec string
		spec, specs, _ = strings.Cut(specs, ",")
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue
		}
		if count++; count > maxRanges {
			return nil, rangesIgnored
		}
		r, satisfiable, ok := parseRange(spec, size)
		if !ok {
			return nil, rangesIgnored
		}
		if !satisfiable {
			continue
		}
		for _, other := range into {
			if r.start < other.start+other.length && other.start < r.start+r.length {
				return nil, rangesIgnored
			}
		}
		into = append(into, r)
	}
	switch {
	case count == 0:
		return nil, rangesIgnored
	case len(into) == 0:
		return nil, rangesUnsatisfiable
	}
	return into, rangesSatisfiable
}

// parseRange reads "first-last", "first-" or "-suffix".
func parseRange(spec string, size int64) (r byteRange, satisfiable, ok bool) {
	first, last, found := strings.Cut(spec, "-")
	if !found {
		return r, false, false
	}
	if first == "" {
		suffix, ok := parseOffset(last)
		if !ok || suffix > 0 && size == 0 {
			return r, false, false // the end of an empty file is all of it: no part
		}
		suffix = min(suffix, size)
		return byteRange{size - suffix, suffix}, suffix > 0, true
	}
	start, ok := parseOffset(first)
	if !ok {
		return r, false, false
	}
	end := int64(maxOffset)
	if last != "" {
		if end, ok = parseOffset(last); !ok || end < start {
			return r, false, false
		}
	}
	if start >= size {
		return r, false, true
	}
	return byteRange{start, min(end, size-1) - start + 1}, true, true
}

// maxOffset stands for every number that is larger: no file is so large.
const maxOffset = 1 << 56

func parseOffset(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), maxOffset)
	}
	return n, true
}
