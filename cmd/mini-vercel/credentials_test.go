package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestCredentialsComeFromVariablesElseTheFile(t *testing.T) {
	config := t.TempDir()
	file := Credentials{URL: "http://file", Token: "mv_file"}
	if _, err := saveCredentials(env(map[string]string{"XDG_CONFIG_HOME": config}), file); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		env  map[string]string
		want Credentials
		err  string
	}{
		"the file":       {map[string]string{"XDG_CONFIG_HOME": config}, file, ""},
		"both variables": {map[string]string{"XDG_CONFIG_HOME": config, urlVariable: "http://env", tokenVariable: "mv_env"}, Credentials{"http://env", "mv_env"}, ""},
		// The file's token is for the file's address alone.
		"the address only": {map[string]string{"XDG_CONFIG_HOME": config, urlVariable: "http://env"}, Credentials{}, tokenVariable + " is not"},
		"the token only":   {map[string]string{"XDG_CONFIG_HOME": config, tokenVariable: "mv_env"}, Credentials{}, urlVariable + " is not"},
		"nothing":          {map[string]string{"XDG_CONFIG_HOME": t.TempDir()}, Credentials{}, "mini-vercel login"},
		"no home":          {nil, Credentials{}, "HOME"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := loadCredentials(env(row.env))
			if row.err == "" && (err != nil || got != row.want) || row.err != "" && (err == nil || !strings.Contains(err.Error(), row.err)) {
				t.Errorf("%+v, %v; want %+v, %q", got, err, row.want, row.err)
			}
		})
	}
}

func TestCredentialsPath(t *testing.T) {
	for _, row := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/mini-vercel/credentials.json"},
		{map[string]string{"HOME": "/h"}, "/h/.config/mini-vercel/credentials.json"},
		{map[string]string{"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/mini-vercel/credentials.json"},
	} {
		if got, err := credentialsPath(env(row.env)); err != nil || got != row.want {
			t.Errorf("%v: %q, %v; want %q", row.env, got, err, row.want)
		}
	}
}

func TestCredentialsAreForOneUsersEyes(t *testing.T) {
	home := env(map[string]string{"HOME": t.TempDir()})
	path, err := saveCredentials(home, Credentials{URL: "http://a", Token: "mv_a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := saveCredentials(home, Credentials{URL: "http://b", Token: "mv_b"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, err := loadCredentials(home); err != nil || got != (Credentials{"http://b", "mv_b"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
	for _, text := range []string{"", "{", `{"url":"http://a"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadCredentials(home); err == nil || !strings.Contains(err.Error(), "mini-vercel login") {
			t.Errorf("a damaged file %q: %v", text, err)
		}
	}
}
