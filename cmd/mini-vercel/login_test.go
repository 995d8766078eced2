package main

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/builder/publish"
)

const (
	email    = "ada@example.com"
	password = "correct horse battery"
	newer    = "staple battery horse"
)

// signUp makes the first account at the platform that `up` runs.
func signUp(t *testing.T, code string) Credentials {
	t.Helper()
	here, err := loadCredentials(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	client, err := publish.NewClient(publish.ClientOptions{URL: here.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Do(t.Context(), publish.Call{Method: http.MethodPost, Path: "/auth/signup", In: map[string]string{"email": email, "password": password, "code": code}}); err != nil {
		t.Fatal(err)
	}
	return here
}

func TestLogin(t *testing.T) {
	code := startUp(t)
	here := signUp(t, code)

	t.Run("by password", func(t *testing.T) {
		path := isolate(t)
		r := commandWith(t, t.Context(), password+"\n", "login", "--url", here.URL, "--email", email)
		if r.code != 0 || r.stdout != "" || strings.Contains(r.stderr, password) || !strings.Contains(r.stderr, email) {
			t.Fatalf("%+v", r)
		}
		c, err := readCredentials(path)
		if err != nil || c.URL != here.URL || !strings.HasPrefix(c.Token, "mv_") || c.Token == here.Token {
			t.Fatalf("%+v, %v", c, err)
		}
		if r := command(t, "projects"); r.code != 0 {
			t.Errorf("the token is not good: %+v", r)
		}
		// Signed in by token, at the same address.
		r = commandWith(t, t.Context(), c.Token+"\n", "login", "--token-stdin")
		if again, _ := readCredentials(path); r.code != 0 || again != c {
			t.Errorf("%+v: %+v", again, r)
		}
	})
	t.Run("by questions", func(t *testing.T) {
		path := isolate(t)
		r := commandWith(t, t.Context(), "\n"+email+"\n"+password+"\n", "login", "--url", here.URL)
		if r.code != 0 || !exists(path) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("refused", func(t *testing.T) {
		path := isolate(t)
		for name, row := range map[string]struct {
			stdin string
			args  []string
			code  int
			want  string
		}{
			"a wrong password": {"wrong\n", []string{"--url", here.URL, "--email", email}, 1, "password"},
			"a wrong token":    {"mv_wrong\n", []string{"--url", here.URL, "--token-stdin"}, 1, "token"},
			"no token":         {"", []string{"--url", here.URL, "--token-stdin"}, 1, "no token"},
			"no address":       {"mv_x\n", []string{"--url", "nonsense", "--token-stdin"}, 2, "nonsense"},
		} {
			r := commandWith(t, t.Context(), row.stdin, append([]string{"login"}, row.args...)...)
			if r.code != row.code || !strings.Contains(r.stderr, row.want) || exists(path) {
				t.Errorf("%s: %+v", name, r)
			}
		}
	})
}

func TestResetPassword(t *testing.T) {
	path := isolate(t)
	data := t.TempDir()
	code, stop := startUpOn(t, data)
	signUp(t, code)
	reset := func(stdin, address string) ran {
		return commandWith(t, t.Context(), stdin, "user", "reset-password", address, "--data", data)
	}
	if r := reset(newer+"\n", email); r.code != 1 || !strings.Contains(r.stderr, "stop it first") {
		t.Errorf("while the platform runs: %+v", r)
	}
	stop()
	for name, row := range map[string]struct{ stdin, address, want string }{
		"nobody":            {newer + "\n", "nobody@example.com", "No account"},
		"no password":       {"", email, "no answer"},
		"a password of one": {"x\n", email, "password"},
	} {
		if r := reset(row.stdin, row.address); r.code != 1 || !strings.Contains(r.stderr, row.want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := commandWith(t, t.Context(), newer+"\n", "user", "reset-password", email, "--data", t.TempDir()); r.code != 1 || !strings.Contains(r.stderr, "no database") {
		t.Errorf("another directory: %+v", r)
	}
	if r := command(t, "user", "reset-password"); r.code != 2 {
		t.Errorf("nobody named: %+v", r)
	}
	if r := reset(newer+"\n", email); r.code != 0 || strings.Contains(r.stderr, newer) {
		t.Fatalf("%+v", r)
	}
	startUpOn(t, data)
	here, err := readCredentials(path)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]int{password: 1, newer: 0} {
		if r := commandWith(t, t.Context(), secret+"\n", "login", "--url", here.URL, "--email", email); r.code != want {
			t.Errorf("%q: %+v", secret, r)
		}
	}
}
