package source

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// gitConfig is all the configuration that git sees. The command line would do
// for most of it, but safe.directory counts in a file only.
const gitConfig = `[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
	askPass =
	protectHFS = true
	protectNTFS = true
	longpaths = true
[protocol]
	allow = never
	version = 2
[http]
	followRedirects = false
	lowSpeedLimit = 1000
	lowSpeedTime = 60
	emptyAuth = false
[credential]
	helper =
[submodule]
	recurse = false
[fetch]
	recurseSubmodules = false
[gc]
	auto = 0
[maintenance]
	auto = false
[advice]
	detachedHead = false
[transfer]
	credentialsInUrl = die
[uploadpack]
	allowAnySHA1InWant = true
`

// writeConfig makes the configuration for one repository at the given addresses.
func writeConfig(dir string, r *Repository, addresses []netip.Addr) (path string, err error) {
	var b strings.Builder
	b.WriteString(gitConfig)
	fmt.Fprintf(&b, "[protocol %q]\n\tallow = always\n", r.Scheme)
	if _, err := netip.ParseAddr(r.Host); err != nil && r.Scheme != "file" {
		var list []string
		for _, a := range addresses {
			if a.Is6() {
				list = append(list, "["+a.String()+"]")
			} else {
				list = append(list, a.String())
			}
		}
		fmt.Fprintf(&b, "[http]\n\tcurloptResolve = \"%s:%d:%s\"\n", r.Host, r.Port, strings.Join(list, ","))
	}
	path = filepath.Join(dir, "gitconfig")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return "", fmt.Errorf("write git's configuration: %w", err)
	}
	return path, nil
}

// askPass answers git's questions from the environment, where no other user and
// no process list shows them.
const askPass = `#!/bin/sh
case "$1" in
Username*) printf '%s\n' "$MINI_VERCEL_GIT_USERNAME" ;;
*) printf '%s\n' "$MINI_VERCEL_GIT_PASSWORD" ;;
esac
`

func writeAskPass(dir string) (path string, err error) {
	path = filepath.Join(dir, "askpass")
	if err := os.WriteFile(path, []byte(askPass), 0o700); err != nil {
		return "", fmt.Errorf("write git's password program: %w", err)
	}
	return path, nil
}
