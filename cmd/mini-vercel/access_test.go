package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// browser keeps cookies, and finds every host on this machine.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, Timeout: 10 * time.Second}
}

func visit(t *testing.T, c *http.Client, address string) (int, string) {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// answersWith waits until an address answers with a status to who has no cookie.
func answersWith(t *testing.T, address string, status int) {
	t.Helper()
	stranger := browser(t)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got, _ := visit(t, stranger, address)
		if got == status {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s answers %d after 10 s, want %d", address, got, status)
		}
	}
}

func TestAProjectIsProtectedSharedAndOpened(t *testing.T) {
	startUp(t)
	dir := write(t, t.TempDir(), map[string]string{"index.html": "one", "docs.html": "docs"})
	production := strings.TrimSpace(command(t, "deploy", dir, "--project", "my-site", "-y").stdout)
	preview := strings.TrimSpace(command(t, "deploy", dir, "--project", "my-site", "-y").stdout)
	if production == "" || preview == "" || production == preview {
		t.Fatal(production, preview)
	}
	show := func() string {
		t.Helper()
		r := command(t, "access", "--project", "my-site", "--json")
		return decode[shownAccess](t, r.stdout).Scope
	}
	if got := show(); got != "off" {
		t.Errorf("at first: %s", got)
	}
	if r := command(t, "share", preview); r.code != 1 || !strings.Contains(r.stderr, "asks for no password") {
		t.Errorf("share of an open host: %+v", r)
	}
	if r := command(t, "share", "--project", "my-site"); r.code != 1 || !strings.Contains(r.stderr, "open to everyone") {
		t.Errorf("share of an open project: %+v", r)
	}
	if r := commandWith(t, t.Context(), "short\n", "access", "set", "--project", "my-site", "--scope", "previews"); r.code != 1 || !strings.Contains(r.stderr, "8 to 128") || show() != "off" {
		t.Errorf("a short password: %+v", r)
	}
	if r := commandWith(t, t.Context(), "", "access", "set", "--project", "my-site", "--scope", "previews"); r.code != 1 || r.stderr != "Error: no answer: standard input has ended\n" {
		t.Errorf("no password: %+v", r)
	}

	// Spaces belong to a password, the line's end does not.
	set := commandWith(t, t.Context(), " first password \r\n", "access", "set", "--project", "my-site", "--scope", "previews")
	if set.code != 0 || !strings.Contains(set.stdout, "Previews of my-site ask") || strings.Contains(set.stdout+set.stderr, "first password") || show() != "previews" {
		t.Fatalf("%+v", set)
	}
	answersWith(t, preview+"/docs?a=1", http.StatusUnauthorized)
	answersWith(t, production, http.StatusOK)

	b := browser(t)
	send := func(password, to string) (int, string) {
		t.Helper()
		resp, err := b.PostForm(preview+"/.mini-vercel/access", url.Values{"password": {password}, "to": {to}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Request.URL.RequestURI() + " " + string(body)
	}
	if status, body := send("first password", "/docs?a=1"); status != http.StatusUnauthorized || !strings.Contains(body, "That is not the password") {
		t.Errorf("a wrong password: %d %s", status, body)
	}
	if status, body := send(" first password ", "/docs?a=1"); status != http.StatusOK || body != "/docs?a=1 docs" {
		t.Fatalf("the password: %d %s", status, body)
	}
	if status, body := visit(t, b, preview); status != http.StatusOK || body != "one" {
		t.Errorf("with the cookie: %d %s", status, body)
	}

	shared := command(t, "share", preview+"/docs?b=2", "--expires", "7d")
	link := strings.TrimSpace(shared.stdout)
	if shared.code != 0 || !strings.HasPrefix(link, preview+"/docs?b=2&"+site.ShareParameter+"=") {
		t.Fatalf("%+v", shared)
	}
	guest := browser(t)
	resp, err := guest.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.String() != preview+"/docs?b=2" {
		t.Errorf("the link: %d at %s", resp.StatusCode, resp.Request.URL)
	}
	if status, _ := visit(t, guest, preview); status != http.StatusOK {
		t.Errorf("after the link: %d", status)
	}
	// Without a host: what is protected of the project.
	asJSON := decode[controlplane.ShareLink](t, command(t, "share", "--project", "my-site", "--json").stdout)
	if !strings.HasPrefix(asJSON.URL, preview+"/?") {
		t.Errorf("%+v", asJSON)
	}
	if r := command(t, "share", production); r.code != 1 || !strings.Contains(r.stderr, "asks for no password") {
		t.Errorf("production is open: %+v", r)
	}

	// A wider scope ends nothing; a new password ends everything.
	if r := command(t, "access", "set", "--project", "my-site", "--scope", "all", "--keep-password"); r.code != 0 || show() != "all" {
		t.Errorf("%+v", r)
	}
	answersWith(t, production, http.StatusUnauthorized)
	if status, _ := visit(t, b, preview); status != http.StatusOK {
		t.Errorf("the scope alone ended access: %d", status)
	}
	if r := command(t, "share", "--project", "my-site"); !strings.HasPrefix(r.stdout, production+"/?") {
		t.Errorf("%+v", r)
	}
	commandWith(t, t.Context(), "second password\n", "access", "set", "--project", "my-site", "--scope", "all")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if status, _ := visit(t, b, preview); status == http.StatusUnauthorized {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a new password does not end access")
		}
	}
	answersWith(t, link, http.StatusUnauthorized)

	// Suspended wins over the password.
	if r := command(t, "suspend", "my-site"); r.code != 0 || !strings.Contains(r.stderr, "my-site is suspended") {
		t.Errorf("%+v", r)
	}
	answersWith(t, preview, http.StatusForbidden)
	if r := command(t, "projects"); !strings.Contains(r.stdout, "suspended") {
		t.Errorf("%+v", r)
	}
	if r := command(t, "access", "show", "--project", "my-site"); !strings.Contains(r.stderr, "suspended") {
		t.Errorf("%+v", r)
	}
	if r := command(t, "unsuspend", "my-site"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	answersWith(t, preview, http.StatusUnauthorized)
	if r := command(t, "access", "off", "--project", "my-site"); r.code != 0 || !strings.Contains(r.stdout, "open to everyone") || show() != "off" {
		t.Errorf("%+v", r)
	}
	answersWith(t, preview, http.StatusOK)
	if r := command(t, "suspend", "nobody"); r.code != 1 || !strings.Contains(r.stderr, "no project") {
		t.Errorf("%+v", r)
	}
}

func TestAccessAndShareUsedWrongly(t *testing.T) {
	isolate(t)
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"access of what":       {[]string{"access"}, "--project"},
		"a password in argv":   {[]string{"access", "set", "secret", "--project", "x", "--scope", "all"}, "--help"},
		"no scope":             {[]string{"access", "set", "--project", "x"}, "--scope"},
		"another scope":        {[]string{"access", "set", "--project", "x", "--scope", "some"}, "--scope"},
		"share what":           {[]string{"share"}, "--project"},
		"too short":            {[]string{"share", "x", "--expires", "59s"}, "1m to 30d"},
		"too long":             {[]string{"share", "x", "--expires", "31d"}, "1m to 30d"},
		"no time":              {[]string{"share", "x", "--expires", "d"}, "1m to 30d"},
		"negative":             {[]string{"share", "x", "--expires", "-1d"}, "1m to 30d"},
		"suspend what":         {[]string{"suspend"}, "--help"},
		"an unknown way of it": {[]string{"access", "on"}, "on"},
	} {
		if r := command(t, row.args...); r.code != 2 || !strings.Contains(r.stderr, row.want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for s, want := range map[string]time.Duration{"1m": time.Minute, "24h": 24 * time.Hour, "30d": site.MaxShareTime, "720h": site.MaxShareTime, "1h30m": 90 * time.Minute} {
		if got, err := parseLife(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for address, want := range map[string][2]string{
		"A.example.com":                  {"a.example.com", ""},
		"a.example.com:8001":             {"a.example.com", ""},
		"a.example.com/x%20y":            {"a.example.com", "/x%20y"},
		"http://a.example.com:8001?x=1":  {"a.example.com", "/?x=1"},
		"https://a.example.com/d?x=1#no": {"a.example.com", "/d?x=1"},
	} {
		if host, path, err := splitAddress(address); err != nil || host != want[0] || path != want[1] {
			t.Errorf("%s: %q %q, %v", address, host, path, err)
		}
	}
	for _, address := range []string{"", "https://", "https://me@a.example.com", "%"} {
		if _, _, err := splitAddress(address); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}
