package caddymodule

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// keptNetwork is TCP whose sockets stay open while configurations change; every
// server with our handler listens on it. Caddy itself opens a second socket for
// the same port and closes the first: what the kernel has queued there is lost,
// and under load some clients get a reset.
const keptNetwork = "kept"

func init() {
	caddy.RegisterNetwork(keptNetwork, listenKept)
	caddyhttp.RegisterNetworkHTTP3(keptNetwork, "udp") // which Caddy keeps open
}

// keep has a server listen on kept sockets where it would on those of TCP.
func keep(server *caddyhttp.Server) {
	for i, listen := range server.Listen {
		network, host, port, err := caddy.SplitNetworkAddress(listen)
		if err == nil && (network == "" || network == "tcp") {
			server.Listen[i] = caddy.JoinNetworkAddress(keptNetwork, host, port)
		}
	}
}

var (
	keptLock    sync.Mutex
	keptSockets = map[string]*keptSocket{} // by address
)

// keptSocket is one socket. A goroutine accepts its connections for the oldest
// configuration that listens: a newer one may yet fail to start. It ends when
// the last one closes its listener.
type keptSocket struct {
	address   string
	socket    net.Listener
	listeners []*keptListener // guarded by keptLock
}

// keptListener is a socket as one configuration has it.
type keptListener struct {
	socket   *keptSocket
	accepted chan accepted
	gone     chan struct{} // closed when it gets no more connections
	once     sync.Once
	closed   chan struct{}
	open     int           // connections that it was given, guarded by keptLock
	drained  chan struct{} // closed when it is gone and none is open
}

// keptConn tells its listener when it is closed.
type keptConn struct {
	*net.TCPConn
	listener *keptListener
	once     sync.Once
}

func (c *keptConn) Close() error {
	c.once.Do(c.listener.lost)
	return c.TCPConn.Close()
}

type accepted struct {
	conn net.Conn
	err  error
}

func listenKept(ctx context.Context, _, host, portRange string, portOffset uint, config net.ListenConfig) (any, error) {
	first, err := strconv.ParseUint(portRange, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen on %s/%s: port %q: use one port", keptNetwork, host, portRange)
	}
	address := net.JoinHostPort(host, strconv.FormatUint(first+uint64(portOffset), 10))
	keptLock.Lock()
	defer keptLock.Unlock()
	s := keptSockets[address]
	if s == nil {
		socket, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		s = &keptSocket{address: address, socket: socket}
		if first != 0 { // or each listener gets a port of its own
			keptSockets[address] = s
		}
		defer func() { go s.run() }()
	}
	l := &keptListener{socket: s, accepted: make(chan accepted), gone: make(chan struct{}), closed: make(chan struct{}), drained: make(chan struct{})}
	s.listeners = append(s.listeners, l)
	return l, nil
}

// run hands connections over until the socket is closed.
func (s *keptSocket) run() {
	for {
		conn, err := s.socket.Accept()
		for handed := false; !handed; {
			l := s.oldest(err == nil)
			if l == nil {
				if err == nil {
					conn.Close()
				}
				return
			}
			select {
			case l.accepted <- accepted{conn, err}: // an error too: the server waits before it asks again
				handed = true
			case <-l.gone:
				if err == nil {
					l.lost()
				}
			}
		}
	}
}

// oldest returns who gets the next connection; nil where nobody listens.
func (s *keptSocket) oldest(connection bool) *keptListener {
	keptLock.Lock()
	defer keptLock.Unlock()
	if len(s.listeners) == 0 {
		return nil
	}
	l := s.listeners[0]
	if connection {
		l.open++
	}
	return l
}

// remove ends a listener's connections. The caller holds keptLock.
func (s *keptSocket) remove(l *keptListener) error {
	at := slices.Index(s.listeners, l)
	if at < 0 {
		return nil
	}
	s.listeners = slices.Delete(s.listeners, at, at+1)
	close(l.gone)
	if l.open == 0 {
		close(l.drained)
	}
	if len(s.listeners) > 0 {
		return nil
	}
	if keptSockets[s.address] == s {
		delete(keptSockets, s.address)
	}
	return s.socket.Close()
}

// lost counts a connection out.
func (l *keptListener) lost() {
	keptLock.Lock()
	defer keptLock.Unlock()
	l.open--
	if l.open == 0 && !slices.Contains(l.socket.listeners, l) {
		close(l.drained)
	}
}

func (l *keptListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		tcp, ok := a.conn.(*net.TCPConn)
		if !ok {
			return a.conn, a.err
		}
		return &keptConn{TCPConn: tcp, listener: l}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *keptListener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.closed)
		keptLock.Lock()
		defer keptLock.Unlock()
		err = l.socket.remove(l)
	})
	return err
}

func (l *keptListener) Addr() net.Addr { return l.socket.socket.Addr() }

// handOver is how a configuration makes way for the next one. net/http closes a
// connection without an answer whose first request it reads while it stops, and
// an idle one of HTTP/2 without a word. So before it stops, all further
// connections go to the newest configuration; those that this one was given last
// have a while to send their requests, and every answer in it asks its client to
// use another connection.
type handOver struct {
	wait    time.Duration
	leaving atomic.Bool
}

// Handle is called when the configuration is about to stop.
func (h *handOver) Handle(context.Context, caddy.Event) error {
	h.leaving.Store(true)
	retired := retireAllButNewest()
	if caddy.Exiting() {
		return nil
	}
	timeout := time.NewTimer(h.wait)
	defer timeout.Stop()
	for _, l := range retired {
		select {
		case <-l.drained:
		case <-timeout.C:
			return nil
		}
	}
	return nil
}

func retireAllButNewest() (retired []*keptListener) {
	keptLock.Lock()
	defer keptLock.Unlock()
	for _, s := range keptSockets {
		for len(s.listeners) > 1 {
			retired = append(retired, s.listeners[0])
			_ = s.remove(s.listeners[0]) // the socket stays open
		}
	}
	return retired
}
