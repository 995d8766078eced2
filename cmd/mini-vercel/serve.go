package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// newLogger makes the log that the settings ask for, on stderr.
func (s *Settings) newLogger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // Check has seen it
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

// listen opens a TCP port. name is the setting that a person changes where the
// port is taken.
func listen(host string, port int, name string) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d is taken by another program: choose another with %s", port, name)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on port %d (%s): %w", port, name, err)
	}
	return l, nil
}

// webServer serves one handler until it is stopped.
type webServer struct {
	server *http.Server
	failed chan error
	ended  chan struct{} // closed when it serves no more
}

// serve answers requests from l. Streams and uploads bound their own times, so
// only headers and idle connections are bounded here.
func serve(l net.Listener, handler http.Handler, log *slog.Logger) *webServer {
	w := &webServer{
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		failed: make(chan error, 1),
		ended:  make(chan struct{}),
	}
	go func() {
		defer close(w.ended)
		if err := w.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			w.failed <- fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
	}()
	return w
}

// stop lets requests end until ctx does, then closes their connections.
func (w *webServer) stop(ctx context.Context) error {
	if err := w.server.Shutdown(ctx); err != nil {
		return w.server.Close()
	}
	return nil
}

// pause serves on for a while, so that load balancers see that it is to end.
func (w *webServer) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.ended:
	}
}
