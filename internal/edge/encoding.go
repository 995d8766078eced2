package edge

import (
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// qualities are the weights of an Accept-Encoding field in thousandths, by
// encoding; 0 refuses.
type qualities [site.Identity + 1]int16

const unset, refused = -1, 0

// parseAcceptEncoding reads an Accept-Encoding field, RFC 9110 section 12.5.3.
// What is malformed in it is passed over. An identity that is not named is
// acceptable, but after everything that was asked for.
func parseAcceptEncoding(field string) (q qualities, identityOK bool) {
	q = qualities{unset, unset, unset, unset}
	wildcard := int16(unset)
	for field != "" {
		var item string
		item, field, _ = strings.Cut(field, ",")
		coding, weight, ok := parseWeighted(item)
		if !ok {
			continue
		}
		switch {
		case coding == "*":
			wildcard = weight
		case strings.EqualFold(coding, "br"):
			q[site.Brotli] = weight
		case strings.EqualFold(coding, "zstd"):
			q[site.Zstd] = weight
		case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
			q[site.Gzip] = weight
		case strings.EqualFold(coding, "identity"):
			q[site.Identity] = weight
		}
	}
	identityOK = q[site.Identity] != refused && (q[site.Identity] != unset || wildcard != refused)
	for e := range q {
		if q[e] == unset {
			q[e] = max(wildcard, 0)
		}
	}
	return q, identityOK
}

// negotiate picks the encoding to send from those that has reports: the
// heaviest, ties in the order of [site.Encoding]. It reports false where
// nothing is acceptable.
func negotiate(field string, has func(site.Encoding) bool) (site.Encoding, bool) {
	if field == "" {
		return site.Identity, true
	}
	q, identityOK := parseAcceptEncoding(field)
	best, weight := site.Identity, q[site.Identity]
	for i := len(site.Variants) - 1; i >= 0; i-- {
		e := site.Variants[i]
		if q[e] > 0 && q[e] >= weight && has(e) {
			best, weight = e, q[e]
		}
	}
	return best, best != site.Identity || identityOK
}

// parseWeighted splits one member of a list into its value and its weight in
// thousandths, RFC 9110 section 12.4.2. It reports false for an empty or
// malformed one.
func parseWeighted(item string) (value string, weight int16, ok bool) {
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

// acceptsHTML reports whether an Accept field allows a page.
func acceptsHTML(field string) bool {
	if field == "" {
		return true
	}
	html, text, any := int16(unset), int16(unset), int16(unset)
	for field != "" {
		var item string
		item, field, _ = strings.Cut(field, ",")
		media, weight, ok := parseWeighted(item)
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
