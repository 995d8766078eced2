package dnslookup_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/dnslookup"
	"github.com/mini-vercel/mini-vercel/internal/dnslookup/dnstest"
)

func outcome(t *testing.T, err error) dnslookup.Outcome {
	t.Helper()
	if err == nil {
		return dnslookup.Found
	}
	var e *dnslookup.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no look-up's error", err)
	}
	if e.Sentence() == "" || !strings.Contains(err.Error(), e.Name) {
		t.Errorf("%v: %q", err, e.Sentence())
	}
	return e.Outcome
}

func TestTexts(t *testing.T) {
	server := dnstest.Start(t)
	r := dnslookup.New(server.Addr, nil)
	server.Set(t, "one.test", "TXT", `"a" "b"`, `"other"`)
	server.Set(t, "alias.test", "CNAME", "one.test.")
	server.Set(t, "address.test", "A", "192.0.2.1")
	for _, name := range []string{"fails.test", "refused.test", "silent.test", "long.test"} {
		server.Set(t, name, "TXT", `"`+strings.Repeat("x", 200)+`"`)
	}
	server.Break("fails.test", dnstest.ServFail)
	server.Break("refused.test", dnstest.Refuse)
	server.Break("long.test", dnstest.Cut)
	for _, row := range []struct {
		name   string
		want   string
		is     dnslookup.Outcome
		absent bool
	}{
		{"one.test", "ab other", dnslookup.Found, false},
		{"ONE.test", "ab other", dnslookup.Found, false},
		{"alias.test", "ab other", dnslookup.Found, false},
		{"long.test", strings.Repeat("x", 200), dnslookup.Found, false},
		{"nobody.test", "", dnslookup.Missing, true},
		{"address.test", "", dnslookup.Empty, true},
		{"fails.test", "", dnslookup.Failed, false},
		{"refused.test", "", dnslookup.Refused, false},
	} {
		got, err := r.TXT(t.Context(), row.name)
		if strings.Join(got, " ") != row.want || outcome(t, err) != row.is {
			t.Errorf("%s: %q %v", row.name, got, err)
		}
		if e := (*dnslookup.Error)(nil); errors.As(err, &e) && e.Absent() != row.absent {
			t.Errorf("%s is absent: %v", row.name, e.Absent())
		}
	}
	if _, tcp := server.Asked(); tcp != 1 {
		t.Errorf("%d questions over TCP", tcp)
	}
}

func TestHosts(t *testing.T) {
	server := dnstest.Start(t)
	r := dnslookup.New(server.Addr, nil)
	server.Set(t, "apex.test", "A", "192.0.2.1", "192.0.2.2")
	server.Set(t, "apex.test", "AAAA", "2001:db8::1")
	server.Set(t, "www.test", "CNAME", "Middle.test.")
	server.Set(t, "middle.test", "CNAME", "apex.test.")
	server.Set(t, "dangling.test", "CNAME", "nowhere.test.")
	server.Set(t, "broken.test", "CNAME", "fails.test.")
	server.Set(t, "text.test", "TXT", `"x"`)
	server.Set(t, "loop.test", "CNAME", "loop.test.")
	server.Break("fails.test", dnstest.ServFail)
	for _, row := range []struct {
		name, want string
		is         dnslookup.Outcome
	}{
		{"apex.test", "[] [192.0.2.1 192.0.2.2 2001:db8::1]", dnslookup.Found},
		{"www.test", "[middle.test apex.test] [192.0.2.1 192.0.2.2 2001:db8::1]", dnslookup.Found},
		{"dangling.test", "[nowhere.test] []", dnslookup.Found},
		{"broken.test", "[fails.test] []", dnslookup.Found},
		{"site.localhost", "[] [127.0.0.1]", dnslookup.Found},
		{"text.test", "[] []", dnslookup.Empty},
		{"nobody.test", "[] []", dnslookup.Empty},
		{"fails.test", "[] []", dnslookup.Failed},
	} {
		got, err := r.Host(t.Context(), row.name)
		if text := fmt.Sprint(got.Aliases, got.Addresses); text != row.want || outcome(t, err) != row.is {
			t.Errorf("%s: %s %v", row.name, text, err)
		}
	}
	if got, err := r.Host(t.Context(), "loop.test"); err != nil || len(got.Aliases) == 0 || len(got.Aliases) > 20 {
		t.Errorf("a loop: %v %v", got, err)
	}
}

func TestNoAnswerIsNoAbsence(t *testing.T) {
	server := dnstest.Start(t)
	server.Set(t, "silent.test", "TXT", `"x"`)
	server.Break("silent.test", dnstest.Silent)
	var mu sync.Mutex
	seen := map[dnslookup.Outcome]int{}
	observe := func(o dnslookup.Outcome, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		seen[o]++
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := dnslookup.New(server.Addr, observe).TXT(ctx, "silent.test")
	if outcome(t, err) != dnslookup.TimedOut || seen[dnslookup.TimedOut] == 0 {
		t.Errorf("silence: %v, observed %v", err, seen)
	}
	nobody, listenErr := net.ListenPacket("udp", "127.0.0.1:0")
	if listenErr != nil {
		t.Fatal(listenErr)
	}
	nobody.Close()
	_, err = dnslookup.New(nobody.LocalAddr().String(), nil).TXT(t.Context(), "x.test")
	if got := outcome(t, err); got != dnslookup.Unreachable && got != dnslookup.TimedOut {
		t.Errorf("no server: %v", err)
	}
}

func TestATemporaryFailureIsTriedAgain(t *testing.T) {
	server := dnstest.Start(t)
	server.Set(t, "x.test", "TXT", `"x"`)
	server.Break("x.test", dnstest.ServFail)
	mend := func(o dnslookup.Outcome, _ time.Duration) { server.Break("x.test", dnstest.None) }
	got, err := dnslookup.New(server.Addr, mend).TXT(t.Context(), "x.test")
	if err != nil || len(got) != 1 {
		t.Errorf("%v %v", got, err)
	}
	server.Break("x.test", dnstest.ServFail)
	before, _ := server.Asked()
	_, _ = dnslookup.New(server.Addr, nil).TXT(t.Context(), "x.test")
	if after, _ := server.Asked(); after-before != 3 {
		t.Errorf("asked %d times", after-before)
	}
}
