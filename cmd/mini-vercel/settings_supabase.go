package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/internal/supabase"
)

// SupabaseSettings say where people sign in, if not here.
type SupabaseSettings struct {
	SupabaseURL       string `env:"SUPABASE_URL" address:"true" help:"Address of the Supabase project by which people sign in, such as https://abc.supabase.co, instead of by accounts with passwords here."`
	SupabaseAnonKey   string `env:"SUPABASE_ANON_KEY" help:"Its anonymous or publishable key, which the dashboard sends from browsers."`
	SupabaseJWTSecret string `env:"SUPABASE_JWT_SECRET" secret:"true" help:"Its legacy JWT secret, for projects that sign tokens by HS256. Default: those are refused; tokens are verified with the keys that the project publishes."`
}

// minSupabaseSecret is what RFC 7518 asks of HS256, section 3.2, in bytes.
const minSupabaseSecret = 32

func (s *SupabaseSettings) checkSupabase() error {
	if s.SupabaseURL == "" {
		for name, value := range map[string]string{"SUPABASE_ANON_KEY": s.SupabaseAnonKey, "SUPABASE_JWT_SECRET": s.SupabaseJWTSecret} {
			if value != "" {
				return fmt.Errorf("%s is set, but SUPABASE_URL is not: set both to have people sign in by Supabase, or neither", name)
			}
		}
		return nil
	}
	if _, err := s.supabaseURL(); err != nil {
		return err
	}
	if s.SupabaseAnonKey == "" {
		return errors.New("SUPABASE_ANON_KEY is not set, but SUPABASE_URL is: the dashboard needs the project's anonymous or publishable key to sign people in")
	}
	if secretSupabaseKey(s.SupabaseAnonKey) {
		return errors.New("SUPABASE_ANON_KEY is a secret key of the project, and every browser is given what is set there: use the anonymous or publishable key, and replace the secret one if it was in use here before")
	}
	if strings.ContainsFunc(s.SupabaseAnonKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("SUPABASE_ANON_KEY has characters in it that no key has, such as spaces")
	}
	if n := len(s.SupabaseJWTSecret); n > 0 && n < minSupabaseSecret {
		return fmt.Errorf("SUPABASE_JWT_SECRET has %d bytes, and less than %d can be guessed: copy it whole, or leave it out where the project has signing keys", n, minSupabaseSecret)
	}
	return nil
}

// supabaseURL is the project's address, as its tokens have it.
func (s *SupabaseSettings) supabaseURL() (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s.SupabaseURL, "/"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("SUPABASE_URL: use the project's address without a path, such as https://abc.supabase.co")
	}
	u.Host = strings.ToLower(u.Host)
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && !ip.IsLoopback() {
		return nil, fmt.Errorf("SUPABASE_URL=%s: use https; keys that come over http can be replaced on the way, and with them whom they let in", u)
	}
	return u, nil
}

// secretSupabaseKey reports whether a key is one that may do everything.
func secretSupabaseKey(key string) bool {
	if strings.HasPrefix(key, "sb_secret_") {
		return true
	}
	parts := strings.Split(key, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Role string }
	return err == nil && json.Unmarshal(payload, &claims) == nil && claims.Role != "" && claims.Role != "anon"
}

// verifier verifies the project's tokens; nil: people have passwords here.
func (s *SupabaseSettings) verifier(log *slog.Logger) (*supabase.Verifier, error) {
	if s.SupabaseURL == "" {
		return nil, nil
	}
	u, err := s.supabaseURL()
	if err != nil {
		return nil, err
	}
	return supabase.New(supabase.Config{URL: u.String(), Secret: []byte(s.SupabaseJWTSecret), Log: log}), nil
}

// supabaseProject is what the dashboard is told of it.
func (s *SupabaseSettings) supabaseProject() api.SupabaseProject {
	u, err := s.supabaseURL()
	if err != nil || s.SupabaseURL == "" {
		return api.SupabaseProject{}
	}
	return api.SupabaseProject{URL: u.String(), AnonKey: s.SupabaseAnonKey}
}

// signInPart is where people sign in.
func (s *Settings) signInPart() part {
	return part{"sign-in", s.SupabaseURL, func(context.Context) (string, error) {
		v, err := s.verifier(slog.New(slog.DiscardHandler))
		if err != nil {
			return "", err // names the variable
		}
		defer v.Stop()
		keys, err := v.Fetch()
		switch {
		case err != nil:
			return "", fmt.Errorf("SUPABASE_URL: the keys of tokens can't be had: %w", err)
		case keys == 0 && s.SupabaseJWTSecret == "":
			return "", errors.New("SUPABASE_JWT_SECRET is not set, and the project publishes no keys: set it, or give the project signing keys")
		}
		return fmt.Sprintf("Supabase Auth, published keys: %d", keys), nil
	}}
}
