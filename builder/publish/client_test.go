package publish

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func clientOf(t *testing.T, url string, change func(*ClientOptions)) *Client {
	t.Helper()
	o := ClientOptions{URL: url, Token: "mv_secret", UserAgent: "mini-vercel-cli/9", Retry: Retry{Least: time.Millisecond, Most: time.Millisecond}}
	if change != nil {
		change(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestClientSaysWhoItIs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer mv_secret" || r.Header.Get("User-Agent") != "mini-vercel-cli/9" || r.URL.RequestURI() != "/projects?limit=2" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		w.Header().Set("X-Here", "yes")
		w.Write([]byte(`{"items":[1,2]}`))
	}))
	defer server.Close()
	var out struct{ Items []int }
	var header http.Header
	err := clientOf(t, server.URL+"/", nil).Do(t.Context(), Call{Method: "GET", Path: "/projects", Query: map[string][]string{"limit": {"2"}}, Out: &out, OutHeader: &header})
	if err != nil || !slices.Equal(out.Items, []int{1, 2}) || header.Get("X-Here") != "yes" {
		t.Errorf("%v %v %v", out, header, err)
	}
}

func TestProblemsAreShownWhole(t *testing.T) {
	for body, want := range map[string]string{
		`{"title":"Unprocessable Entity","detail":"Some fields are not valid.","errors":[{"field":"name","message":"is missing"},{"location":"body.x","message":"is too long"}]}`: "Some fields are not valid.; name: is missing; body.x: is too long (status 422)",
		`{"title":"Unprocessable Entity"}`: "Unprocessable Entity (status 422)",
		`<html>a proxy's page</html>`:      "Unprocessable Entity (status 422)",
		``:                                 "Unprocessable Entity (status 422)",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(422)
			w.Write([]byte(body))
		}))
		err := clientOf(t, server.URL, nil).Do(t.Context(), Call{Method: "POST", Path: "/projects"})
		server.Close()
		if err == nil || err.Error() != "POST /projects: "+want {
			t.Errorf("%s: error %q, want %q", body, err, want)
		}
	}
}

func TestWhatMustHappenOnceIsNotRepeated(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(http.ResponseWriter)
		once   bool
		tries  int32
	}{
		"a failure":                  {func(w http.ResponseWriter) { w.WriteHeader(500) }, false, 6},
		"a failure, once":            {func(w http.ResponseWriter) { w.WriteHeader(500) }, true, 1},
		"a lost answer, once":        {reset, true, 1},
		"refused for the rate, once": {func(w http.ResponseWriter) { w.WriteHeader(429) }, true, 6},
		"a wrong request":            {func(w http.ResponseWriter) { w.WriteHeader(400) }, false, 1},
		"an answer that is not JSON": {func(w http.ResponseWriter) { w.Write([]byte("<html>")) }, false, 1},
		"an address that leads on":   {func(w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(301) }, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				tries.Add(1)
				row.answer(w)
			}))
			defer server.Close()
			var out struct{}
			if err := clientOf(t, server.URL, nil).Do(t.Context(), Call{Method: "POST", Path: "/x", Once: row.once, In: 1, Out: &out}); err == nil {
				t.Error("no error")
			}
			if tries.Load() != row.tries {
				t.Errorf("%d tries, want %d", tries.Load(), row.tries)
			}
		})
	}
}

func TestRetryAfterIsWaitedOutAndTold(t *testing.T) {
	var tries atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			problem(w, 429, "At most 10 deploys a minute.")
			return
		}
		w.WriteHeader(204)
	}))
	defer server.Close()
	var told []string
	c := clientOf(t, server.URL, func(o *ClientOptions) { o.Notify = func(s string) { told = append(told, s) } })
	start := time.Now()
	if err := c.Do(t.Context(), Call{Method: "POST", Path: "/deploy", Once: true}); err != nil {
		t.Fatal(err)
	}
	if time.Since(start) < time.Second || len(told) != 1 || !strings.Contains(told[0], "1s") || !strings.Contains(told[0], "10 deploys a minute") {
		t.Errorf("waited %s, told %q", time.Since(start), told)
	}
	// A wait that is too long is left to the person.
	tries.Store(0)
	c = clientOf(t, server.URL, func(o *ClientOptions) { o.Retry.MaxWait = time.Millisecond })
	if err := c.Do(t.Context(), Call{Method: "POST", Path: "/deploy"}); err == nil || !strings.Contains(err.Error(), "1s") {
		t.Errorf("error %v", err)
	}
}

func TestRetryAfterHeader(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "-1": 0, "soon": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		if got := retryAfter(value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	if got := retryAfter(time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)); got < 59*time.Minute {
		t.Errorf("a date: %s", got)
	}
}

func TestEveryCallHasADeadline(t *testing.T) {
	block := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-block:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(block)
	c := clientOf(t, server.URL, func(o *ClientOptions) { o.Retry.Tries = 2 })
	err := c.Do(t.Context(), Call{Method: "GET", Path: "/x", Timeout: 20 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestNamesBelowLocalhostAreThisMachine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "api.localhost:") {
			t.Errorf("Host %q", r.Host)
		}
		w.WriteHeader(204)
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := clientOf(t, "http://api.localhost:"+port, nil).Do(t.Context(), Call{Method: "GET", Path: "/"}); err != nil {
		t.Error(err)
	}
	for address, want := range map[string]string{"a.b.localhost:80": "127.0.0.1:80", "x.LOCALHOST.:1": "127.0.0.1:1", "localhost:80": "localhost:80", "notlocalhost:80": "notlocalhost:80", "example.com:443": "example.com:443"} {
		if got := loopback(address); got != want {
			t.Errorf("loopback(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestFailedConnectionsSayWhatToDo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = clientOf(t, "http://"+l.Addr().String(), nil).Do(t.Context(), Call{Method: "GET", Path: "/projects"})
	if err == nil || !strings.Contains(err.Error(), "mini-vercel up") {
		t.Errorf("error %v", err)
	}
	for _, url := range []string{"", "localhost:9000", "ftp://x", "http://", "::"} {
		if _, err := NewClient(ClientOptions{URL: url}); err == nil || !strings.Contains(err.Error(), "http://localhost:9000") {
			t.Errorf("%q: error %v", url, err)
		}
	}
}

func TestAnAddressHasNoPassword(t *testing.T) {
	for _, address := range []string{"http://someone:hush@localhost:9000", "someone:hush@localhost", "http://someone:hu%sh@localhost"} {
		if _, err := NewClient(ClientOptions{URL: address}); err == nil || strings.Contains(err.Error(), "someone") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := NewClient(ClientOptions{URL: "localhost:9000"}); err == nil || !strings.Contains(err.Error(), "localhost:9000") {
		t.Errorf("got %v", err)
	}
}
