package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/publish"
)

func newLoginCommand() *cobra.Command {
	var address, email string
	var tokenStdin bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Sign in to a control plane",
		Long: `Login keeps a token in $XDG_CONFIG_HOME/mini-vercel/credentials.json (or below
~/.config), for this user's eyes only. Give an API token, made in the dashboard
under Account, or your email and password, with which one is made. On the machine
that runs "mini-vercel up" no login is needed.`,
		Example: "  mini-vercel login --url https://deploy.example.com\n  echo \"$TOKEN\" | mini-vercel login --url https://deploy.example.com --token-stdin",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return login(cmd, address, email, tokenStdin)
		},
	}
	c.Flags().StringVar(&address, "url", "", "address of the control plane (default: the one signed in to before, else http://localhost:9000)")
	c.Flags().StringVar(&email, "email", "", "sign in with this account and its password")
	c.Flags().BoolVar(&tokenStdin, "token-stdin", false, "read an API token from standard input")
	return c
}

const defaultURL = "http://localhost:9000"

func login(cmd *cobra.Command, address, email string, tokenStdin bool) error {
	if tokenStdin && email != "" {
		return usagef("login takes --token-stdin or --email, not both")
	}
	before, err := loadCredentials(func(name string) string {
		if name == urlVariable || name == tokenVariable {
			return "" // login is about the file
		}
		return os.Getenv(name)
	})
	if address == "" {
		address = defaultURL
		if err == nil {
			address = before.URL
		}
	}
	ctx := cmd.Context()
	token := ""
	switch {
	case tokenStdin:
		token, err = readLine(cmd.InOrStdin())
		if token = strings.TrimSpace(token); token == "" {
			return errors.Join(errors.New("standard input has no token"), err)
		}
	case email == "":
		if token, err = askSecret(cmd, "API token (or leave empty to sign in by email): "); err != nil {
			return err
		}
		token = strings.TrimSpace(token)
	}
	if token == "" {
		if token, err = tokenByPassword(cmd, address, email); err != nil {
			return err
		}
	}
	conn, err := connectAs(cmd, Credentials{URL: address, Token: token})
	if err != nil {
		return usageError{err}
	}
	defer conn.Close()
	var me struct {
		User struct {
			Email string `json:"email"`
		} `json:"user"`
		Scope string `json:"scope"`
	}
	if err := conn.get(ctx, "/auth/me", nil, &me); err != nil {
		return fmt.Errorf("the token is not good: %w", err)
	}
	path, err := saveCredentials(os.Getenv, Credentials{URL: conn.URL(), Token: token})
	if err != nil {
		return err
	}
	who := me.User.Email
	if who == "" {
		who = "the owner"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Signed in to %s as %s (scope %s); kept in %s\n", conn.URL(), harmless(who, false), harmless(me.Scope, false), path)
	if os.Getenv(urlVariable) != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "Note: %s and %s are set here and win over what was kept.\n", urlVariable, tokenVariable)
	}
	return nil
}

// tokenByPassword signs in for a moment to make an API token for this machine.
func tokenByPassword(cmd *cobra.Command, address, email string) (token string, err error) {
	conn, err := connectAs(cmd, Credentials{URL: address})
	if err != nil {
		return "", usageError{err}
	}
	defer conn.Close()
	ctx := cmd.Context()
	var setup struct {
		Supabase *struct{} `json:"supabase"`
	}
	if err := conn.get(ctx, "/auth/setup", nil, &setup); err != nil {
		return "", err
	}
	if setup.Supabase != nil { // its passwords are none of this program's business
		return "", fmt.Errorf("people sign in by Supabase there: make an API token in the dashboard, %s/dashboard/account, and give that", conn.URL())
	}
	if email == "" {
		if email, err = ask(cmd, "Email: "); err != nil {
			return "", err
		}
	}
	password, err := askSecret(cmd, "Password: ")
	if err != nil {
		return "", err
	}
	var header http.Header
	err = conn.Do(ctx, publish.Call{
		Method: http.MethodPost, Path: "/auth/login", Once: true,
		In: map[string]string{"email": email, "password": password}, OutHeader: &header,
	})
	if err != nil {
		return "", err
	}
	cookies := (&http.Response{Header: header}).Cookies()
	if len(cookies) == 0 {
		return "", errors.New("the control plane began no session: check its address")
	}
	session := http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}, "Origin": {conn.URL()}}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
		defer cancel()
		// A session that is left over ends by itself.
		_ = conn.Do(ctx, publish.Call{Method: http.MethodPost, Path: "/auth/logout", Header: session})
	}()
	var made struct {
		Token string `json:"token"`
	}
	err = conn.Do(ctx, publish.Call{
		Method: http.MethodPost, Path: "/tokens", Once: true, Header: session,
		In: map[string]string{"name": tokenName(), "scope": "admin"}, Out: &made,
	})
	return made.Token, err
}

// tokenName is how the token is called in the dashboard's list.
func tokenName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "CLI"
	}
	return "CLI on " + host
}
