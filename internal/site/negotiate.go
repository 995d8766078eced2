package site

import "strings"

// qualities are the weights of an Accept-Encoding field in thousandths, by
// encoding; 0 refuses.
type qualities [Identity + 1]int16

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
		coding, weight, ok := ParseWeighted(item)
		if !ok {
			continue
		}
		switch {
		case coding == "*":
			wildcard = weight
		case strings.EqualFold(coding, "br"):
			q[Brotli] = weight
		case strings.EqualFold(coding, "zstd"):
			q[Zstd] = weight
		case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
			q[Gzip] = weight
		case strings.EqualFold(coding, "identity"):
			q[Identity] = weight
		}
	}
	identityOK = q[Identity] != refused && (q[Identity] != unset || wildcard != refused)
	for e := range q {
		if q[e] == unset {
			q[e] = max(wildcard, 0)
		}
	}
	return q, identityOK
}

// AcceptsIdentity reports whether an Accept-Encoding field allows bytes that are
// not compressed.
func AcceptsIdentity(field string) bool {
	if field == "" {
		return true
	}
	_, ok := parseAcceptEncoding(field)
	return ok
}

// Negotiate picks the encoding to send from those that has reports, RFC 9110
// section 12.5.3: the heaviest, ties in the order of [Encoding]. It reports
// false where nothing is acceptable.
func Negotiate(field string, has func(Encoding) bool) (Encoding, bool) {
	if field == "" {
		return Identity, true
	}
	q, identityOK := parseAcceptEncoding(field)
	best, weight := Identity, q[Identity]
	for i := len(Variants) - 1; i >= 0; i-- {
		e := Variants[i]
		if q[e] > 0 && q[e] >= weight && has(e) {
			best, weight = e, q[e]
		}
	}
	return best, best != Identity || identityOK
}
