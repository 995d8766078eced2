package site

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNormalHost(t *testing.T) {
	label := func(n int) string { return strings.Repeat("x", n) }
	name := func(n int) string { // a name of n bytes in labels of at most 50
		s := strings.Repeat(label(49)+".", 6)
		return s[:n-1] + "x"
	}
	for _, c := range []struct{ in, want string }{
		{"example.com", "example.com"},
		{"EXAMPLE.Com", "example.com"},
		{"example.com.", "example.com"},
		{"example.com:8001", "example.com"},
		{"example.com.:8001", "example.com"},
		{"example.com:", "example.com"},
		{"localhost", "localhost"},
		{"a--b.localhost", "a--b.localhost"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"_acme.example", "_acme.example"},
		{"127.0.0.1:80", "127.0.0.1"},
		{"1", "1"},
		{label(62) + ".x", label(62) + ".x"},
		{label(63) + ".x", label(63) + ".x"},
		{label(64) + ".x", ""},
		{name(252), name(252)},
		{name(253), name(253)},
		{name(253) + ".", name(253)},
		{name(254), ""},
		{"", ""}, {".", ""}, {"..", ""}, {":80", ""}, {".:80", ""}, {"example.com..", ""}, {".example.com", ""}, {"a..b", ""},
		{"-a.b", ""}, {"a-.b", ""}, {"a.-b", ""}, {"a.b-", ""}, {"a.b-.", ""}, {"-", ""},
		{"a b", ""}, {"a/b", ""}, {"a\x00", ""}, {"bücher.example", ""}, {"a%2e", ""}, {"a@b", ""}, {"a*b", ""},
		{"example.com:80a", ""}, {"example.com:80:80", ""}, {"example.com:-1", ""}, {"[::1]", ""}, {"[::1]:80", ""}, {"::1", ""},
	} {
		got, err := NormalHost(c.in)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%.40q: %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

func TestNormalHostOfANormalHostCostsNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = NormalHost("blog.example.com:8001") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzNormalHost(f *testing.F) {
	for _, s := range []string{"example.com", "EXAMPLE.com.:80", "a..", "-a", "[::1]:80", "a:b:c", "bücher", "\x00", "a-.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, err := NormalHost(s)
		if err != nil {
			if host != "" {
				t.Fatalf("%q with an error", host)
			}
			return
		}
		again, err := NormalHost(host)
		if err != nil || again != host {
			t.Fatalf("%q is %q, and that is %q, %v", s, host, again, err)
		}
		if len(host) == 0 || len(host) > MaxHostLength || host != strings.ToLower(host) {
			t.Fatalf("%q is no host", host)
		}
		for label := range strings.SplitSeq(host, ".") {
			if len(label) == 0 || len(label) > MaxLabelLength || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsAny(label, "/\\:@ ") {
				t.Fatalf("%q has the label %q", host, label)
			}
		}
		if key := RouteKey(host); strings.Count(key, "/") != 1 {
			t.Fatalf("the key %q has another folder", key)
		}
	})
}

func TestHosts(t *testing.T) {
	if got := DeploymentHost("0123abcd", "blog", "example.com"); got != "0123abcd--blog.example.com" {
		t.Error(got)
	}
	hash := func(branch string) string { return HashOf([]byte(branch)).String()[:6] }
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct{ branch, subDomain, want string }{
		{"main", "blog", "git-main--blog"},
		{"feature-1", "blog", "git-feature-1--blog"},
		{"Main", "blog", "git-main-" + hash("Main") + "--blog"},
		{"feature/1", "blog", "git-feature-1-" + hash("feature/1") + "--blog"},
		{"feature--1", "blog", "git-feature-1-" + hash("feature--1") + "--blog"},
		{"-a-", "blog", "git-a-" + hash("-a-") + "--blog"},
		{"///", "blog", "git-" + hash("///") + "--blog"},
		{"", "blog", "git---blog"},
		{"日本", "blog", "git-" + hash("日本") + "--blog"},
		{long(52), "blog", "git-" + long(52) + "--blog"},
		{long(53), "blog", "git-" + long(53) + "--blog"},
		{long(54), "blog", "git-" + long(46) + "-" + hash(long(54)) + "--blog"},
		{long(45) + "/" + long(20), "blog", "git-" + long(45) + "-" + hash(long(45)+"/"+long(20)) + "--blog"},
		{long(17), long(40), "git-" + long(17) + "--" + long(40)},
		{long(18), long(40), "git-" + long(10) + "-" + hash(long(18)) + "--" + long(40)},
	} {
		got := BranchHost(c.branch, c.subDomain, "example.com")
		if c.branch == "" {
			continue // no branch has no name
		}
		if got != c.want+".example.com" {
			t.Errorf("%q of %q: %q, want %q", c.branch, c.subDomain, got, c.want)
		}
		if normal, err := NormalHost(got); err != nil || normal != got {
			t.Errorf("%q is no host: %v", got, err)
		}
	}
}

func TestCheckSubDomain(t *testing.T) {
	for s, ok := range map[string]bool{
		"abc": true, "a-b": true, "0a9": true, "a-b-c": true, strings.Repeat("x", 39): true, strings.Repeat("x", 40): true,
		strings.Repeat("x", 41): false, "": false, "ab": false, "a--b": false, "-ab": false, "ab-": false, "Abc": false, "a_b": false,
		"a.b": false, "a b": false, "äbc": false, "a/b": false, "---": false, "abc\n": false,
	} {
		if err := CheckSubDomain(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestChangeLog(t *testing.T) {
	var h Head
	if got, ok := h.Since(0); !ok || len(got) != 0 {
		t.Errorf("a new log: %v, %t", got, ok)
	}
	add := func(n int) {
		for range n {
			h.Append(Change{Host: "h", Generation: h.Seq + 1})
		}
	}
	add(MaxChanges - 1)
	for _, total := range []int64{MaxChanges - 1, MaxChanges, MaxChanges + 1} {
		if h.Seq != total || int64(len(h.Changes)) != min(total, MaxChanges) {
			t.Fatalf("seq %d, %d changes, want %d", h.Seq, len(h.Changes), total)
		}
		first := total - int64(len(h.Changes)) // the oldest reader that misses nothing
		for _, c := range []struct {
			seq  int64
			want int64 // how many changes; -1: everything
		}{
			{total, 0}, {total - 1, 1}, {first + 1, total - first - 1}, {first, total - first}, {first - 1, -1},
			{total + 1, -1}, {math.MinInt64, -1}, {math.MaxInt64, -1},
		} {
			got, ok := h.Since(c.seq)
			if ok != (c.want >= 0) || ok && int64(len(got)) != c.want {
				t.Errorf("of %d since %d: %d changes, %t, want %d", total, c.seq, len(got), ok, c.want)
			}
			if len(got) > 0 && (got[0].Generation != c.seq+1 || got[len(got)-1].Generation != total) {
				t.Errorf("of %d since %d: from %d to %d", total, c.seq, got[0].Generation, got[len(got)-1].Generation)
			}
		}
		add(1)
	}
	seq := h.Seq
	h.Append(slices.Repeat([]Change{{Project: "p"}}, 2*MaxChanges+7)...)
	if h.Seq != seq+2*MaxChanges+7 || len(h.Changes) != MaxChanges {
		t.Errorf("many at once: seq %d, %d changes", h.Seq, len(h.Changes))
	}
}

func TestRecordsAreTheSameAfterJSON(t *testing.T) {
	at := time.Unix(1_700_000_000, 5000).UTC()
	for _, v := range []any{
		&Route{Host: "a.b", Project: "p", Deployment: "d", Environment: Preview, RedirectTo: "c.d", Generation: 1 << 60, PublishedAt: at, Gone: true,
			Previous: []Previous{{Deployment: "e", Until: at}}},
		&Route{Host: "a.b"},
		&Project{ID: "p", Name: "n", Owner: "o", State: ProjectSuspended, Generation: 3, Access: &Access{Scope: AccessAll, PasswordHash: "$argon2id$", CookieKey: []byte{0, 1, 255}}},
		&Head{Seq: 2, Changes: []Change{{Host: "a", Generation: 1}, {Project: "p", Generation: 2}}},
	} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := json.Unmarshal(b, again); err != nil || !reflect.DeepEqual(v, again) {
			t.Errorf("%s\nis %+v, %v", b, again, err)
		}
	}
}
