package edge

import "strings"

// matchesETag reports whether a list of entity tags, as in If-Match and
// If-None-Match (RFC 9110 section 13.1), holds etag or is "*". etag is strong;
// weak says whether a weak one in the list may match it. A list that is
// malformed ends where it is.
func matchesETag(list, etag string, weak bool) bool {
	for {
		list = strings.TrimLeft(list, " \t,")
		if list == "" {
			return false
		}
		if list[0] == '*' {
			return strings.Trim(list[1:], " \t") == ""
		}
		isWeak := strings.HasPrefix(list, "W/")
		if isWeak {
			list = list[2:]
		}
		tag, rest, ok := cutETag(list)
		if !ok {
			return false
		}
		if tag == etag && (weak || !isWeak) {
			return true
		}
		list = strings.TrimLeft(rest, " \t")
		if list != "" && list[0] != ',' {
			return false
		}
	}
}

// cutETag splits an entity tag, with its quotes, from the front of s.
func cutETag(s string) (tag, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:], true
		case c < 0x21 || c == 0x7f:
			return "", "", false
		}
	}
	return "", "", false
}
