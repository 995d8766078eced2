package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// healthTime is how long a server may take to answer.
const healthTime = 5 * time.Second

// newHealthCommand asks a server on this machine whether it lives: what a
// container without a shell can run as its health check.
func newHealthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health edge|controlplane",
		Short: "Ask the server on this machine whether it lives",
		Long: `Asks the edge or the control plane that runs on this machine with the same
settings whether it lives, for the health checks of containers. It does not ask
for the bucket or other machines: a server that waits for them is not cured by
being started again. What the parts say: mini-vercel config check.`,
		ValidArgs: []string{"edge", "controlplane"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := Load(environ())
			if err != nil {
				return err
			}
			if args[0] == "edge" {
				return askHealth(cmd.Context(), s.ownAddress(s.EdgePort)+"/", http.StatusInternalServerError)
			}
			return askHealth(cmd.Context(), s.ownAddress(s.Port)+"/health", http.StatusMultipleChoices)
		},
	}
}

// ownAddress is where a server of these settings is reached on this machine.
func (s *Settings) ownAddress(port int) string {
	host := s.Listen
	if a, err := netip.ParseAddr(host); err == nil && a.IsUnspecified() {
		host = "127.0.0.1"
		if a.Is6() {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// askHealth takes any answer with a status below bad. An edge has no host that
// is an address, and answers so without a look into the bucket.
func askHealth(ctx context.Context, url string, bad int) error {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // and no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // not read by anybody
	if resp.StatusCode >= bad {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
