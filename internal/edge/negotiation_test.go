package edge

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func all(site.Encoding) bool { return true }

func TestNegotiate(t *testing.T) {
	for field, want := range map[string]string{
		"":                              "identity",
		"*":                             "br",
		"gzip":                          "gzip",
		"GZIP":                          "gzip",
		"x-gzip":                        "gzip",
		"deflate":                       "identity",
		"gzip;q=1.0, *;q=0":             "gzip",
		"identity":                      "identity",
		"identity;q=0.5, gzip;q=0.5":    "gzip",
		"identity;q=0.6, gzip;q=0.5":    "identity",
		"br;q=0, gzip;q=0, zstd;q=0":    "identity",
		"*;q=0.5, identity;q=0.9":       "identity",
		"*;q=0.5, gzip;q=0.1":           "br",
		"br ; q=0.2 , zstd; Q=0.3":      "zstd",
		"br;q=2":                        "identity", // malformed
		"br;q=0.1234":                   "identity",
		"br;q=":                         "identity",
		"br;level=9;q=0.5":              "br",
		", ,gzip,,":                     "gzip",
		"*;q=0":                         "",
		"identity;q=0, deflate":         "",
		"gzip;q=0, *;q=0":               "",
		"gzip;q=0, br;q=0.000, *;q=0.1": "zstd",
	} {
		got, ok := site.Negotiate(field, all)
		name := got.String()
		if !ok {
			name = ""
		}
		if want == "" {
			// Only where nothing is stored that is acceptable.
			got, ok = site.Negotiate(field, func(e site.Encoding) bool { return e == site.Identity })
			if ok {
				t.Errorf("%q: got %s, want nothing", field, got)
			}
			continue
		}
		if name != want {
			t.Errorf("%q: got %q, want %q", field, name, want)
		}
	}
}

// slowQuality finds the weight of a coding as RFC 9110 section 12.5.3 says, one
// coding at a time.
func slowQuality(field, coding string) (weight int16, listed bool) {
	wildcard, hasWildcard := int16(0), false
	for item := range strings.SplitSeq(field, ",") {
		name, w, ok := site.ParseWeighted(item)
		switch {
		case !ok:
		case strings.EqualFold(name, coding), coding == "gzip" && strings.EqualFold(name, "x-gzip"):
			weight, listed = w, true
		case name == "*":
			wildcard, hasWildcard = w, true
		}
	}
	if listed {
		return weight, true
	}
	return wildcard, hasWildcard
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br, zstd", "*;q=0", "br;q=0.5,identity;q=0", "a;b;c,;;q=,*", "identity;q=0.001"} {
		f.Add(seed, uint8(7))
	}
	f.Fuzz(func(t *testing.T, field string, stored uint8) {
		has := func(e site.Encoding) bool { return e == site.Identity || stored>>e&1 == 1 }
		got, ok := site.Negotiate(field, has)
		if !has(got) {
			t.Fatalf("%q: %s is not stored", field, got)
		}
		acceptable := func(e site.Encoding) (int16, bool) {
			weight, listed := slowQuality(field, e.String())
			if e == site.Identity && !listed {
				return 0, true
			}
			return weight, weight > 0
		}
		best, found := int16(-1), false
		for e := site.Brotli; e <= site.Identity; e++ {
			if weight, fine := acceptable(e); has(e) && fine {
				found = true
				best = max(best, weight)
			}
		}
		if ok != found && field != "" {
			t.Fatalf("%q: acceptable: %v, want %v", field, ok, found)
		}
		if weight, fine := acceptable(got); ok && field != "" && (!fine || weight != best) {
			t.Fatalf("%q: chose %s of weight %d, the best is %d", field, got, weight, best)
		}
	})
}

func FuzzConditional(f *testing.F) {
	f.Add(`"a"`, "a")
	f.Add(`W/"a", "b" ,"c"`, "b")
	f.Add(`*`, "x")
	f.Add(`"a", junk, "b"`, "b")
	f.Fuzz(func(t *testing.T, list, tag string) {
		etag := `"` + tag + `"`
		strong, weak := matchesETag(list, etag, false), matchesETag(list, etag, true)
		if strong && !weak {
			t.Fatalf("%q matches %s strongly but not weakly", list, etag)
		}
		if weak && strings.TrimSpace(strings.Trim(list, ", \t")) != "*" && !strings.Contains(list, etag) {
			t.Fatalf("%q does not contain %s", list, etag)
		}
		valid := !strings.ContainsFunc(tag, func(r rune) bool { return r < 0x21 || r == '"' || r == 0x7f })
		if valid && !matchesETag(etag, etag, false) {
			t.Fatalf("%s does not match itself", etag)
		}
		if valid && (matchesETag("W/"+etag, etag, false) || !matchesETag(`"other,", W/`+etag, etag, true)) {
			t.Fatalf("weak comparison of %s", etag)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-0", "bytes=-5", "bytes=5-", "bytes=0-1,3-4,-1", "bytes=9-2", "lines=1-2", "bytes=,,1-1", "bytes=99999999999999999999-", "BYTES=0-"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, field string, size int64) {
		if size < 0 || size > 1<<40 {
			return
		}
		ranges, outcome := parseRanges(field, size, nil)
		if (outcome == rangesSatisfiable) != (len(ranges) > 0) || len(ranges) > maxRanges {
			t.Fatalf("%q of %d: %v, outcome %d", field, size, ranges, outcome)
		}
		sum := int64(0)
		sorted := slices.SortedFunc(slices.Values(ranges), func(a, b byteRange) int { return int(a.start - b.start) })
		end := int64(0)
		for _, r := range sorted {
			if r.start < end || r.length <= 0 || r.start+r.length > size {
				t.Fatalf("%q of %d: %v", field, size, ranges)
			}
			end = r.start + r.length
			sum += r.length
		}
		if sum > size {
			t.Fatalf("%q of %d: %d bytes are sent", field, size, sum)
		}
		// What is answered must be what net/http would send for one range.
		if len(ranges) == 1 && strings.Count(field, ",") == 0 && strings.HasPrefix(field, "bytes=") && size < 1<<16 {
			w := &recorder{header: http.Header{}}
			r, err := http.NewRequest(http.MethodGet, "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Range"] = []string{field}
			http.ServeContent(w, r, "x.bin", noTime, strings.NewReader(strings.Repeat("x", int(size))))
			if w.status == http.StatusPartialContent && w.header.Get("Content-Range") != contentRange(ranges[0], itoa(size)) {
				t.Fatalf("%q of %d: %s, net/http says %s", field, size, contentRange(ranges[0], itoa(size)), w.header.Get("Content-Range"))
			}
		}
	})
}
