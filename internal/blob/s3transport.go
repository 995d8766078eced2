package blob

import (
	"context"
	"net"
	"net/http"
	"time"
)

const (
	connectTime = 5 * time.Second // of TCP, and again of TLS
	idleTime    = 90 * time.Second
	// idleConns is how many connections wait for the next request: more than
	// an edge reads at once, so that a burst does not open them all anew.
	idleConns = 256
)

// newTransport makes the connections to a bucket. They speak HTTP/1.1 only:
// with HTTP/2 all reads would share one connection and its packet losses.
func newTransport(silence time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTime, KeepAlive: 15 * time.Second}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &impatientConn{c, silence}, nil
		},
		TLSHandshakeTimeout:   connectTime,
		ResponseHeaderTimeout: silence,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          idleConns,
		MaxIdleConnsPerHost:   idleConns,
		IdleConnTimeout:       idleTime,
		DisableCompression:    true, // objects are bytes, whatever they are
		ReadBufferSize:        16 << 10,
		WriteBufferSize:       16 << 10,
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// impatientConn ends a connection that has moved no byte for a while, in either
// direction: a body that stalls holds nobody for longer than that, even where
// the caller's context has no end.
type impatientConn struct {
	net.Conn
	silence time.Duration
}

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write renews the deadline of the Read that waits for the answer meanwhile.
func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
