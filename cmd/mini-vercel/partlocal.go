package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/dnslookup"
)

// dataDirPart is the directory of the embedded parts. A server that runs may
// hold it: nothing is locked.
func (s *Settings) dataDirPart() part {
	return part{"data directory", s.DataDir, func(context.Context) (string, error) {
		dir, err := existing(s.DataDir)
		if err != nil {
			return "", fmt.Errorf("DATA_DIR=%s: %w", s.DataDir, err)
		}
		if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
			return "", fmt.Errorf("DATA_DIR=%s: user %d can't write to %s (%w): give it to that user, or choose another directory", s.DataDir, os.Getuid(), dir, err)
		}
		var disk unix.Statfs_t
		if err := unix.Statfs(dir, &disk); err != nil {
			return "", fmt.Errorf("DATA_DIR=%s: %w", s.DataDir, err)
		}
		detail := fmt.Sprintf("writable, %.1f GiB free", float64(disk.Bavail)*float64(disk.Bsize)/(1<<30))
		if absolute, _ := filepath.Abs(s.DataDir); absolute != dir {
			detail += ", made at the first start"
		}
		return detail, nil
	}}
}

// existing is a directory, or the lowest one above it that there is.
func existing(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			return path, nil
		case err == nil:
			return "", fmt.Errorf("%s is no directory", path)
		case !errors.Is(err, fs.ErrNotExist) || path == "/":
			return "", err
		}
		path = filepath.Dir(path)
	}
}

// masterKeyPart is the key of the secrets at rest. It is not made here: a
// server makes it.
func (s *Settings) masterKeyPart() part {
	if s.MasterKey != "" {
		return part{"master key", "MASTER_KEY", func(context.Context) (string, error) {
			_, err := s.masterKey(&dataDir{path: s.DataDir})
			return "", err
		}}
	}
	path := filepath.Join(s.DataDir, "master.key")
	return part{"master key", path, func(context.Context) (string, error) {
		switch _, err := os.Stat(path); {
		case errors.Is(err, fs.ErrNotExist):
			return "made at the first start", nil
		case err != nil:
			return "", err
		}
		_, err := controlplane.LoadMasterKey(path)
		return "", err
	}}
}

// sandboxPart is what keeps builds apart from this machine.
func (s *Settings) sandboxPart() part {
	return part{"sandbox", "this machine", func(ctx context.Context) (string, error) {
		isolation := probe(ctx, s)
		if err := isolation.Err(); err != nil {
			return "", fmt.Errorf("BUILD_SANDBOX=%s: %w", s.BuildSandbox, err)
		}
		if err := mustIsolate(s, isolation); err != nil {
			return "", err
		}
		return strings.Join(append([]string{string(isolation.Mode)}, isolation.Warnings...), "; "), nil
	}}
}

// resolverPart is the DNS that custom domains are looked up in.
func (s *Settings) resolverPart() part {
	name := s.BaseDomain
	if name == "localhost" { // which is not asked for
		name = "example.com"
	}
	where, variable := "the system's", "Name one with DNS_RESOLVER, or mend /etc/resolv.conf"
	if s.DNSResolver != "" {
		where, variable = s.DNSResolver, "Correct DNS_RESOLVER"
	}
	return part{"DNS resolver", where, func(ctx context.Context) (string, error) {
		_, err := dnslookup.New(s.DNSResolver, nil).TXT(ctx, name)
		var e *dnslookup.Error
		if err == nil || errors.As(err, &e) && e.Absent() {
			return "answers for " + name, nil
		}
		return "", fmt.Errorf("%w. %s", err, variable)
	}}
}

// acmePart is the CA that certifies hosts.
func (s *Settings) acmePart() part {
	directory := s.ACMECA
	if directory == "" {
		directory = caddymodule.LetsEncrypt
	}
	return part{"ACME CA", directory, func(ctx context.Context) (string, error) {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DisableKeepAlives = true
		var err error
		if transport.TLSClientConfig, err = trusting("ACME_CA_ROOT", s.ACMECARoot); err != nil {
			return "", err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, directory, nil)
		if err != nil {
			return "", fmt.Errorf("ACME_CA: %w", err)
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return "", fmt.Errorf("ACME_CA or the way to it: %w", err)
		}
		defer resp.Body.Close()
		var answer struct { // RFC 8555, section 7.1.1
			NewOrder string `json:"newOrder"`
		}
		err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer)
		if err != nil || resp.StatusCode != http.StatusOK || answer.NewOrder == "" {
			return "", fmt.Errorf("ACME_CA=%s answers %s, and not with the directory of a CA: correct the address", directory, resp.Status)
		}
		return "", nil
	}}
}
