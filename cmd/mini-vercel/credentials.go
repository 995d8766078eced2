package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Credentials say which control plane the client commands speak to, and as
// whom. They are kept in $XDG_CONFIG_HOME/mini-vercel/credentials.json, which
// `login` and `up` write.
type Credentials struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// The variables that win over the file. Both must be set: a token is sent to
// nobody but the control plane that it was meant for.
const (
	urlVariable   = "MINI_VERCEL_URL"
	tokenVariable = "MINI_VERCEL_TOKEN"
)

// errNoCredentials: nobody is signed in on this machine.
var errNoCredentials = errors.New("not signed in: run `mini-vercel login --url URL`, or start a control plane here with `mini-vercel up`; in CI set " + urlVariable + " and " + tokenVariable)

// credentialsPath is where the file is; getenv is os.Getenv.
func credentialsPath(getenv func(string) string) (string, error) {
	dir := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // a relative one is to be ignored, XDG Base Directory Specification
		home := getenv("HOME")
		if home == "" {
			return "", errors.New("neither XDG_CONFIG_HOME nor HOME is set: there is no place for credentials")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "mini-vercel", "credentials.json"), nil
}

// loadCredentials reads the variables, else the file.
func loadCredentials(getenv func(string) string) (Credentials, error) {
	c := Credentials{URL: getenv(urlVariable), Token: getenv(tokenVariable)}
	switch {
	case c.URL != "" && c.Token != "":
		return c, nil
	case c.URL != "":
		return c, fmt.Errorf("%s is set but %s is not: set both, or neither", urlVariable, tokenVariable)
	case c.Token != "":
		return c, fmt.Errorf("%s is set but %s is not: set both, or neither", tokenVariable, urlVariable)
	}
	path, err := credentialsPath(getenv)
	if err != nil {
		return c, err
	}
	return readCredentials(path)
}

// readCredentials reads the file.
func readCredentials(path string) (c Credentials, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, errNoCredentials
	}
	if err != nil {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil || c.URL == "" || c.Token == "" {
		return c, fmt.Errorf("%s is damaged: run `mini-vercel login` to write it anew", path)
	}
	return c, nil
}

// saveCredentials writes the file, all or nothing, for this user's eyes only.
func saveCredentials(getenv func(string) string, c Credentials) (path string, err error) {
	if path, err = credentialsPath(getenv); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep credentials: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".credentials-") // 0600
	if err != nil {
		return "", fmt.Errorf("keep credentials: %w", err)
	}
	defer os.Remove(f.Name()) // does nothing once it is renamed
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", fmt.Errorf("keep credentials: %w", err)
	}
	return path, nil
}
