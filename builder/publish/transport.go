package publish

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// uploadsAtOnce is how many blobs are on their way at the same time, and so how
// many connections are worth keeping.
const uploadsAtOnce = 32

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if belowLocalhost(r.URL.Hostname()) {
				return nil, nil
			}
			return http.ProxyFromEnvironment(r)
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, loopback(address))
		},
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          2 * uploadsAtOnce,
		MaxIdleConnsPerHost:   2 * uploadsAtOnce,
		IdleConnTimeout:       60 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// loopback sends names below localhost to this machine, as RFC 6761 section 6.3
// has it and browsers do. Go's resolver asks the network for them.
func loopback(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !belowLocalhost(host) {
		return address
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func belowLocalhost(host string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".localhost")
}
