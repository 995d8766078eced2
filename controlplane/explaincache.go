package controlplane

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// ExplainedCache is where the edge that was asked had the answer.
type ExplainedCache struct {
	State string `json:"state,omitempty"` // memory, disk, origin or stale; none: it is not known
	Text  string `json:"text"`
}

// edgeTime is how long an edge has to say what it has cached.
const edgeTime = 2 * time.Second

// timing finds what an edge says of an answer in Server-Timing.
var timing = regexp.MustCompile(`(?:^|[,\s])edge;desc="?([a-z]+)`)

var cacheTexts = map[string]string{
	"memory": "the edge has it in memory",
	"disk":   "the edge has it on its disk",
	"origin": "not yet: the edge gets it from the bucket",
	"stale":  "the edge has it, but the bucket can't be asked whether it is current",
}

// cacheState asks an edge for the head of the answer, and so where it has it. An
// edge that is not reached leaves that open: nothing else depends on it.
func (s *Service) cacheState(ctx context.Context, x *explainer) ExplainedCache {
	switch {
	case s.config.EdgeURL == nil:
		return ExplainedCache{Text: "not known: EDGE_URL names no edge that could be asked"}
	case x.protected:
		return ExplainedCache{Text: "not known: without the password the edge shows nothing"}
	case !x.published:
		return ExplainedCache{Text: "nothing: the edge does not know the host"}
	}
	status, state, err := s.askTier(ctx, x)
	s.metrics.explained(err)
	switch {
	case err != nil:
		s.log.Warn("the edge could not be asked what it has cached", "edge", s.config.EdgeURL.Redacted(), "error", err)
		return ExplainedCache{Text: fmt.Sprintf("not known: the edge at %s does not answer; the log of the control plane says why", s.config.EdgeURL.Host)}
	case (x.Method == http.MethodGet || x.Method == http.MethodHead) && status != x.Status:
		return ExplainedCache{state, fmt.Sprintf("the edge answers %d at the moment: it may not have seen the last change yet", status)}
	case state == "":
		return ExplainedCache{Text: "not known: the edge does not say"}
	}
	return ExplainedCache{state, cacheTexts[state]}
}

// askTier sends a HEAD for the address to the one edge that the settings name.
// It connects to that alone, whatever the address says. It is tried once: a
// person waits, and can ask again.
func (s *Service) askTier(ctx context.Context, x *explainer) (status int, state string, err error) {
	ctx, cancel := context.WithTimeout(ctx, edgeTime)
	defer cancel()
	edge := s.config.EdgeURL
	transport := &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true,
		TLSClientConfig:        &tls.Config{ServerName: x.host, MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", withPort(edge))
		},
	}
	defer transport.CloseIdleConnections()
	target := *x.address
	target.Scheme = edge.Scheme
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, target.String(), nil)
	if err != nil {
		return 0, "", err
	}
	req.URL = &target
	req.Host = x.address.Host
	req.Header.Set("Accept", x.accept)
	req.Header.Set("Accept-Encoding", x.AcceptEncoding)
	req.Header.Set("User-Agent", "mini-vercel-explain")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	if m := timing.FindStringSubmatch(resp.Header.Get("Server-Timing")); m != nil && cacheTexts[m[1]] != "" {
		state = m[1]
	}
	return resp.StatusCode, state, nil
}

// withPort is an address to connect to.
func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
