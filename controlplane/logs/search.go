package logs

import "strings"

// search looks for text in lines, in any case: by the lower case of both, as
// Unicode has it.
type search struct {
	text string
}

func newSearch(query string) search { return search{strings.ToLower(query)} }

func (s search) finds(text string) bool { return strings.Contains(strings.ToLower(text), s.text) }

// ascii returns the longest part of what is looked for that is ASCII. A line
// that is found has it in upper or lower case, or has one of the letters
// beyond ASCII whose lower case is within, see [foldedToASCII].
func (s search) ascii() string {
	longest, begin := "", 0
	for i := 0; i <= len(s.text); i++ {
		if i < len(s.text) && s.text[i] < 0x80 {
			continue
		}
		if i-begin > len(longest) {
			longest = s.text[begin:i]
		}
		begin = i + 1
	}
	return longest
}

// foldedToASCII are the only letters beyond ASCII whose lower case is within:
// the Kelvin sign, and the I with a dot.
var foldedToASCII = [...]string{"\u212A", "\u0130"}
