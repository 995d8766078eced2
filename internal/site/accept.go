package site

import "strings"

// ParseWeighted splits one member of a list into its value and its weight in
// thousandths, RFC 9110 section 12.4.2. It reports false for an empty or
// malformed one.
func ParseWeighted(item string) (value string, weight int16, ok bool) {
	value, params, _ := strings.Cut(item, ";")
	value, weight = strings.Trim(value, " \t"), 1000
	for params != "" {
		var param string
		param, params, _ = strings.Cut(params, ";")
		name, text, _ := strings.Cut(param, "=")
		if name = strings.Trim(name, " \t"); name != "q" && name != "Q" {
			continue
		}
		if weight, ok = parseQuality(strings.Trim(text, " \t")); !ok {
			return "", 0, false
		}
	}
	return value, weight, value != ""
}

// parseQuality reads 0 to 1 with at most three decimals.
func parseQuality(s string) (int16, bool) {
	if len(s) == 0 || len(s) > 5 || len(s) > 1 && s[1] != '.' || s[0] != '0' && s[0] != '1' {
		return 0, false
	}
	weight := int16(s[0]-'0') * 1000
	for i, unit := 2, int16(100); i < len(s); i, unit = i+1, unit/10 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		weight += int16(s[i]-'0') * unit
	}
	return weight, weight <= 1000
}

// AcceptsHTML reports whether an Accept field allows a page.
func AcceptsHTML(field string) bool {
	if field == "" {
		return true
	}
	const unset = int16(-1)
	html, text, any := unset, unset, unset
	for field != "" {
		var item string
		item, field, _ = strings.Cut(field, ",")
		media, weight, ok := ParseWeighted(item)
		switch {
		case !ok:
		case strings.EqualFold(media, "text/html"):
			html = max(html, weight)
		case strings.EqualFold(media, "text/*"):
			text = max(text, weight)
		case media == "*/*":
			any = max(any, weight)
		}
	}
	for _, weight := range [...]int16{html, text, any} {
		if weight != unset {
			return weight > 0
		}
	}
	return false
}
