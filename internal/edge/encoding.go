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
		coding, weight, ok := site.ParseWeighted(item)
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
