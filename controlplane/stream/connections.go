package stream

import (
	"context"
	"errors"
	"net"
	"sync"
)

// connections can close all connections that were made with it, at once.
type connections struct {
	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(errClosed, conn.Close())
	}
	if c.open == nil {
		c.open = map[net.Conn]struct{}{}
	}
	one := &connection{Conn: conn, all: c}
	c.open[one] = struct{}{}
	return one, nil
}

func (c *connections) close() {
	c.mu.Lock()
	c.closed = true
	open := c.open
	c.open = nil
	c.mu.Unlock()
	for conn := range open {
		conn.Close()
	}
}

type connection struct {
	net.Conn
	all *connections
}

func (c *connection) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, net.Conn(c))
	c.all.mu.Unlock()
	return c.Conn.Close()
}
