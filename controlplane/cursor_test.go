package controlplane

import (
	"strings"
	"testing"
)

func FuzzParseCursor(f *testing.F) {
	for _, seed := range []string{"", "1-1", "0-0", "65535-4611686018427387903", "65536-1", "-1-1", "1-", "-", "1-1-1", "01-01", "+1-1", "1_0-1", "1-1\n", "١-١"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		if err != nil {
			if CodeOf(err) != CodeInvalid || c != (Cursor{}) {
				t.Fatalf("%q: %+v, %v", s, c, err)
			}
			return
		}
		if c.Attempt < 0 || c.Seq < 0 {
			t.Fatalf("%q: %+v", s, c)
		}
		// What was read is written in a form that is read as the same.
		if again, err := ParseCursor(c.String()); err != nil || again != c {
			t.Fatalf("%q: %+v, then %+v, %v", s, c, again, err)
		}
		if c.Before(c.Attempt, c.Seq) || !c.Before(c.Attempt, c.Seq+1) || !c.Before(c.Attempt+1, 0) {
			t.Fatalf("%q: out of order", s)
		}
	})
}

func FuzzPageCursor(f *testing.F) {
	for _, seed := range []string{"", "1", "zz", "-1", "0", "+1", "ZZ", "1_0", strings.Repeat("z", 13), "7" + strings.Repeat("z", 12), "\x00", "é"} {
		f.Add(seed, 50)
	}
	f.Fuzz(func(t *testing.T, cursor string, limit int) {
		got, before, err := Page{Cursor: cursor, Limit: limit}.read()
		if err != nil {
			if CodeOf(err) != CodeInvalid {
				t.Fatalf("%q: %v", cursor, err)
			}
			return
		}
		if got < 1 || got > 100 || before < 0 || (before == 0) != (cursor == "") {
			t.Fatalf("%q, %d: %d, %d", cursor, limit, got, before)
		}
		if before > 0 {
			if _, again, err := (Page{Cursor: pageCursor(before)}).read(); err != nil || again != before {
				t.Fatalf("%q: %d, then %d, %v", cursor, before, again, err)
			}
		}
	})
}
