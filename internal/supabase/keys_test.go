package supabase_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/mini-vercel/mini-vercel/internal/supabase"
	"github.com/mini-vercel/mini-vercel/internal/supabase/supabasetest"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Now()} }

// fetched waits for the first fetch.
func fetched(t *testing.T, v *supabase.Verifier) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if at, err := v.KeysFrom(); !at.IsZero() || err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the keys were never fetched")
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

func TestKeysAreFetchedForAnUnknownOneOnceInAWhile(t *testing.T) {
	server, c := supabasetest.Start(t), newClock()
	server.Now = c.Now
	v := start(t, supabase.Config{URL: server.URL, Now: c.Now})
	fetched(t, v)
	old := server.Token(id, "ada@example.com")
	before := server.Fetches()

	server.Rotate()
	if _, err := v.Verify(t.Context(), server.Token(id, "ada@example.com")); err != nil {
		t.Fatalf("the first token of a new key: %v", err)
	}
	if _, err := v.Verify(t.Context(), old); err != nil {
		t.Fatalf("a token of the key before: %v", err)
	}
	if n := server.Fetches() - before; n != 1 {
		t.Fatalf("%d fetches for one key", n)
	}
	for range 50 { // whoever makes keys up
		if _, err := v.Verify(t.Context(), supabasetest.NewKey().Sign(server.Claims(id, ""))); !errors.Is(err, supabase.ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	c.Advance(30*time.Second - time.Nanosecond)
	next := server.Rotate()
	token := next.Sign(server.Claims(id, ""))
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, supabase.ErrUnknownKey) {
		t.Fatalf("below the floor: %v", err)
	}
	if n := server.Fetches() - before; n != 1 {
		t.Fatalf("%d fetches below the floor", n)
	}
	c.Advance(time.Nanosecond)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatalf("at the floor: %v", err)
	}
	server.Publish(next) // the others are revoked
	c.Advance(time.Hour)
	_, _ = v.Verify(t.Context(), supabasetest.NewKey().Sign(server.Claims(id, "")))
	if _, err := v.Verify(t.Context(), old); !errors.Is(err, supabase.ErrUnknownKey) {
		t.Fatalf("a token of a revoked key: %v", err)
	}
}

func TestAClockThatIsSetBackStopsNoFetch(t *testing.T) {
	server, c := supabasetest.Start(t), newClock()
	server.Now = c.Now
	v := start(t, supabase.Config{URL: server.URL, Now: c.Now})
	fetched(t, v)
	_, _ = v.Verify(t.Context(), supabasetest.NewKey().Sign(server.Claims(id, "")))
	c.Advance(-time.Hour)
	server.Rotate()
	if _, err := v.Verify(t.Context(), server.Token(id, "")); err != nil {
		t.Fatal(err)
	}
}

func TestManyWhoWaitForAKeyCauseOneFetch(t *testing.T) {
	key := supabasetest.NewKey()
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		fmt.Fprintf(w, `{"keys":[%s]}`, asJSON(key.JWK))
	}))
	t.Cleanup(slow.Close)
	claims := (&supabasetest.Server{URL: slow.URL, TokenTime: time.Hour, Now: time.Now}).Claims(id, "")
	v := start(t, supabase.Config{URL: slow.URL, FetchTime: time.Minute})
	<-asked
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(impatient, key.Sign(claims)); !errors.Is(err, supabase.ErrUnavailable) {
		t.Errorf("who does not wait: %v", err)
	}
	var done sync.WaitGroup
	for range 20 {
		done.Go(func() {
			if _, err := v.Verify(t.Context(), key.Sign(claims)); err != nil {
				t.Error(err)
			}
		})
	}
	close(answer)
	done.Wait()
	if len(asked) > 1 { // who came after the first fetch had ended knows the key
		t.Errorf("%d fetches", 1+len(asked))
	}
}

func TestAnOutage(t *testing.T) {
	server, c := supabasetest.Start(t), newClock()
	server.Now = c.Now
	var kept []byte
	keep := func(_ context.Context, set []byte) error { kept = set; return nil }
	first := supabase.New(supabase.Config{URL: server.URL, Now: c.Now})
	first.Start(nil, keep)
	fetched(t, first)
	token := server.Token(id, "ada@example.com", map[string]any{"exp": c.Now().Add(24 * time.Hour).Unix()})
	server.Stop()
	c.Advance(time.Hour)
	if _, err := first.Verify(t.Context(), token); err != nil {
		t.Fatalf("while Supabase is away: %v", err)
	}
	if _, err := first.Verify(t.Context(), supabasetest.NewKey().Sign(server.Claims(id, ""))); !errors.Is(err, supabase.ErrUnavailable) {
		t.Fatalf("an unknown key while Supabase is away: %v", err)
	}
	first.Stop() // kept is written before that returns
	if len(kept) == 0 || strings.Contains(string(kept), `"d"`) {
		t.Fatalf("kept: %s", kept)
	}

	again := supabase.New(supabase.Config{URL: server.URL, Now: c.Now})
	again.Start(kept, keep)
	t.Cleanup(again.Stop)
	if _, err := again.Verify(t.Context(), token); err != nil {
		t.Fatalf("after a restart while Supabase is away: %v", err)
	}
	if at, err := again.KeysFrom(); !at.IsZero() {
		t.Errorf("kept keys count as fetched: %s %v", at, err)
	}
	if _, err := again.Verify(t.Context(), supabasetest.NewKey().Sign(server.Claims(id, ""))); !errors.Is(err, supabase.ErrUnavailable) {
		t.Fatal(err)
	}
	server.Start()
	server.Rotate()
	c.Advance(time.Minute)
	if _, err := again.Verify(t.Context(), server.Token(id, "")); err != nil {
		t.Fatalf("when it is back: %v", err)
	}
}

func TestKeptKeysThatAreDamagedAreForgotten(t *testing.T) {
	server := supabasetest.Start(t)
	v := supabase.New(supabase.Config{URL: server.URL})
	v.Start([]byte("{"), func(context.Context, []byte) error { return errors.New("the disk is full") })
	t.Cleanup(v.Stop)
	if _, err := v.Verify(t.Context(), server.Token(id, "")); err != nil {
		t.Fatal(err)
	}
}

// TestAnswersThatAreNoKeys leave those from before in place.
func TestAnswersThatAreNoKeys(t *testing.T) {
	key := supabasetest.NewKey()
	good := fmt.Sprintf(`{"keys":[%s]}`, asJSON(key.JWK))
	padding := func(n int) string { return good[:len(good)-1] + `,"x":"` + strings.Repeat("x", n-len(good)-7) + `"}` }
	many := func(n int) string {
		return `{"keys":[` + strings.Repeat(`{"kty":"XX"},`, n-1) + asJSON(key.JWK) + `]}`
	}
	for _, row := range []struct {
		name, body string
		status     int
		taken      bool
	}{
		{"keys", good, 200, true},
		{"64 KiB", padding(64 << 10), 200, true},
		{"more than 64 KiB", padding(64<<10 + 1), 200, false},
		{"50 keys", many(50), 200, true},
		{"51 keys", many(51), 200, false},
		{"an error", good, 500, false},
		{"not found", good, 404, false},
		{"elsewhere", good, 302, false},
		{"no JSON", "<html>", 200, false},
		{"no keys", `{}`, 200, false},
		{"null", `{"keys":null}`, 200, false},
		{"nothing", "", 200, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/auth/v1/.well-known/jwks.json" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(row.status)
				fmt.Fprint(w, row.body)
			}))
			t.Cleanup(server.Close)
			before := supabasetest.NewKey()
			v := supabase.New(supabase.Config{URL: server.URL})
			v.Start([]byte(fmt.Sprintf(`{"keys":[%s]}`, asJSON(before.JWK))), func(context.Context, []byte) error { return nil })
			t.Cleanup(v.Stop)
			fetched(t, v)
			claims := (&supabasetest.Server{URL: server.URL, TokenTime: time.Hour, Now: time.Now}).Claims(id, "")
			if _, err := v.Verify(t.Context(), key.Sign(claims)); (err == nil) != row.taken {
				t.Errorf("the new key: %v", err)
			}
			if _, err := v.Verify(t.Context(), before.Sign(claims)); (err == nil) == row.taken {
				t.Errorf("the key from before: %v", err)
			}
		})
	}
}

func TestKeysAreFetchedEverySoOften(t *testing.T) {
	server := supabasetest.Start(t)
	start(t, supabase.Config{URL: server.URL, RefreshTime: time.Millisecond})
	for deadline := time.Now().Add(20 * time.Second); server.Fetches() < 3; {
		if time.Now().After(deadline) {
			t.Fatal("the keys were not fetched again")
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

func TestMetrics(t *testing.T) {
	server, c := supabasetest.Start(t), newClock()
	server.Now = c.Now
	v := start(t, supabase.Config{URL: server.URL, Now: c.Now})
	fetched(t, v)
	_, _ = v.Verify(t.Context(), server.Token(id, ""))
	_, _ = v.Verify(t.Context(), "nothing")
	_, _ = v.Verify(t.Context(), server.Token(id, "", map[string]any{"exp": 1}))
	c.Advance(time.Minute)
	r := prometheus.NewRegistry()
	r.MustRegister(v.Collectors()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&got, family); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		`mini_vercel_supabase_key_fetches_total{result="failed"} 0`,
		`mini_vercel_supabase_key_fetches_total{result="ok"} 1`,
		`mini_vercel_supabase_keys_age_seconds 60`,
		`mini_vercel_supabase_tokens_total{result="expired"} 1`,
		`mini_vercel_supabase_tokens_total{result="ok"} 1`,
		`mini_vercel_supabase_tokens_total{result="refused"} 1`,
		`mini_vercel_supabase_tokens_total{result="unknown_key"} 0`,
	} {
		if !strings.Contains(got.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, &got)
		}
	}
}
