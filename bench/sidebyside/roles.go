package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/mini-vercel/mini-vercel/caddymodule"
)

func init() { caddy.RegisterModule(trivial{}) }

// trivial is a Caddy handler with nothing to do: it sends headers and bytes
// that it has ready. No handler that sends the same can be faster in Caddy.
type trivial struct {
	Files map[string]prepared `json:"files"`
}

// prepared is a file with the headers to send. Its bytes are read at the start.
type prepared struct {
	Path    string      `json:"path"`
	Status  int         `json:"status"`
	Headers http.Header `json:"headers"`
	body    []byte
}

func (trivial) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_trivial", New: func() caddy.Module { return new(trivial) }}
}

func (t *trivial) Provision(caddy.Context) error { return load(t.Files) }

func load(files map[string]prepared) error {
	for url, f := range files {
		body, err := os.ReadFile(f.Path)
		if err != nil {
			return err
		}
		f.body = body
		files[url] = f
	}
	return nil
}

func (t *trivial) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	delete(w.Header(), "Server") // as the edge does
	send(t.Files, w, r)
	return nil
}

func send(files map[string]prepared, w http.ResponseWriter, r *http.Request) {
	f, ok := files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	for name, value := range f.Headers {
		h[name] = value
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write(f.body)
}

// serveCaddy runs Caddy with a configuration until it is told to end.
func serveCaddy(path string) error {
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	if profile := os.Getenv(profileVariable); profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		defer f.Close()
		defer pprof.StopCPUProfile()
	}
	wait()
	return caddy.Stop()
}

// profileVariable names the file for a CPU profile of the server.
const profileVariable = "SIDEBYSIDE_PROFILE"

// netHTTP is the configuration of serveNetHTTP.
type netHTTP struct {
	HTTP        string              `json:"http"`
	HTTPS       string              `json:"https"`
	Certificate string              `json:"certificate"`
	Key         string              `json:"key"`
	Files       map[string]prepared `json:"files"`
}

// serveNetHTTP is Go's own server with nothing around it.
func serveNetHTTP(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var c netHTTP
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if err := load(c.Files); err != nil {
		return err
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { send(c.Files, w, r) })
	servers := []*http.Server{{Addr: c.HTTP, Handler: handler}, {Addr: c.HTTPS, Handler: handler, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}
	failed := make(chan error, len(servers))
	go func() { failed <- servers[0].ListenAndServe() }()
	go func() { failed <- servers[1].ListenAndServeTLS(c.Certificate, c.Key) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	select {
	case err := <-failed:
		return fmt.Errorf("net/http: %w", err)
	case <-stop:
		return errors.Join(servers[0].Close(), servers[1].Close())
	}
}

func wait() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
}
