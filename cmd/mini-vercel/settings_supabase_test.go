package main

import (
	"encoding/base64"
	"strings"
	"testing"
)

// legacyKey is a key of a Supabase project as a JWT.
func legacyKey(role string) string {
	return "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"supabase","role":"`+role+`"}`)) + ".c2lnbmF0dXJl"
}

func TestSupabaseSettings(t *testing.T) {
	const url, key = "SUPABASE_URL=https://abc.supabase.co", "SUPABASE_ANON_KEY=sb_publishable_abc"
	secret := func(n int) string { return "SUPABASE_JWT_SECRET=" + strings.Repeat("s", n) }
	for _, row := range []struct {
		name string
		env  []string
		want string // of the error; none: they are taken
	}{
		{"a project", []string{url, key}, ""},
		{"a slash at the end", []string{url + "/", key}, ""},
		{"a legacy key", []string{url, "SUPABASE_ANON_KEY=" + legacyKey("anon")}, ""},
		{"a secret", []string{url, key, secret(32)}, ""},
		{"on this machine", []string{"SUPABASE_URL=http://localhost:54321", key}, ""},
		{"on loopback", []string{"SUPABASE_URL=http://127.0.0.1:54321", key}, ""},
		{"on loopback, IPv6", []string{"SUPABASE_URL=http://[::1]:54321", key}, ""},

		{"no key", []string{url}, "SUPABASE_ANON_KEY is not set"},
		{"a key alone", []string{key}, "SUPABASE_ANON_KEY is set, but SUPABASE_URL is not"},
		{"a secret alone", []string{secret(40)}, "SUPABASE_JWT_SECRET is set, but SUPABASE_URL is not"},
		{"a short secret", []string{url, key, secret(31)}, "SUPABASE_JWT_SECRET has 31 bytes"},
		{"the service's key", []string{url, "SUPABASE_ANON_KEY=" + legacyKey("service_role")}, "SUPABASE_ANON_KEY is a secret key"},
		{"a secret key", []string{url, "SUPABASE_ANON_KEY=sb_secret_abc"}, "SUPABASE_ANON_KEY is a secret key"},
		{"a key with a line break", []string{url, key + "\n"}, "SUPABASE_ANON_KEY has characters"},
		{"http", []string{"SUPABASE_URL=http://abc.supabase.co", key}, "use https"},
		{"a path", []string{url + "/auth/v1", key}, "without a path"},
		{"a query", []string{url + "?a=b", key}, "without a path"},
		{"a name alone", []string{"SUPABASE_URL=abc.supabase.co", key}, "such as https://abc.supabase.co"},
		{"a password", []string{"SUPABASE_URL=https://user:hunter22@abc.supabase.co", key}, "SUPABASE_URL"},
		{"the database's address", []string{"SUPABASE_URL=postgres://user:hunter22@abc.supabase.co", key}, "SUPABASE_URL"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := Load(row.env)
			if row.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "SUPABASE_") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v", err)
			}
			for _, hidden := range []string{"ssss", "sb_secret_abc", "eyJ", "hunter22"} {
				if strings.Contains(err.Error(), hidden) {
					t.Errorf("it shows a secret: %v", err)
				}
			}
		})
	}
}

func TestTheIssuerIsTheProjectsAddress(t *testing.T) {
	s, err := Load([]string{"SUPABASE_URL=https://ABC.supabase.co/", "SUPABASE_ANON_KEY=x", "SUPABASE_JWT_SECRET=" + strings.Repeat("s3cr3t", 8)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.verifier(s.newLogger())
	if err != nil || v.Issuer() != "https://abc.supabase.co/auth/v1" {
		t.Fatalf("%q %v", v.Issuer(), err)
	}
	if p := s.supabaseProject(); p.URL != "https://abc.supabase.co" || p.AnonKey != "x" {
		t.Errorf("%+v", p)
	}
	var out strings.Builder
	if err := writeConfig(&out, s, false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "s3cr3t") || !strings.Contains(out.String(), "SUPABASE_JWT_SECRET") {
		t.Fatal(out.String())
	}
}

// TestUserCommands mend accounts where people sign in by Supabase.
func TestUserCommands(t *testing.T) {
	isolate(t)
	data := t.TempDir()
	code, stop := startUpOn(t, data)
	signUp(t, code)
	stop()
	user := func(args ...string) ran {
		return commandWith(t, t.Context(), newer+"\n", append(append([]string{"user"}, args...), "--data", data)...)
	}
	if r := user("link", email); r.code != 1 || !strings.Contains(r.stderr, "SUPABASE_URL is not set") {
		t.Errorf("a link to where people have passwords: %+v", r)
	}
	t.Setenv("SUPABASE_URL", "http://127.0.0.1:1")
	t.Setenv("SUPABASE_ANON_KEY", "sb_publishable_x")
	t.Setenv("PUBLIC_URL", "https://deploy.example.com")
	if r := user("link", email); r.code != 0 || !strings.HasPrefix(r.stdout, "https://deploy.example.com/dashboard/signup#code=") || !strings.Contains(r.stderr, email) {
		t.Errorf("%+v", r)
	}
	if r := user("reset-password", email); r.code != 1 || !strings.Contains(r.stderr, "SUPABASE_URL") {
		t.Errorf("%+v", r)
	}
	for _, row := range []struct{ command, address, want string }{
		{"link", "nobody@example.com", "No account"},
		{"disable", "nobody@example.com", "No account"},
		{"enable", "nobody@example.com", "No account"},
		{"disable", email, "the owner"},
	} {
		if r := user(row.command, row.address); r.code != 1 || !strings.Contains(r.stderr, row.want) {
			t.Errorf("%s %s: %+v", row.command, row.address, r)
		}
	}
	if r := user("enable", email); r.code != 0 || !strings.Contains(r.stderr, "enabled") {
		t.Errorf("%+v", r)
	}
}
