package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// http3Load is the configuration of loadHTTP3.
type http3Load struct {
	Address     string        `json:"address"`
	URL         string        `json:"url"`
	Connections int           `json:"connections"`
	Streams     int           `json:"streams"`
	Duration    time.Duration `json:"duration"`
}

// http3Scene is HTTP/3 at full load. The client is quic-go too, and costs about
// as much as a server: the figures are those of both.
func (b *bench) http3Scene(name string, f file) scene {
	command := func(s server) ([]string, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		path := filepath.Join(b.dir, "load-h3.json")
		config, err := json.Marshal(http3Load{s.https, "https://" + siteHost + s.path(f), 8, b.streams, b.duration})
		if err != nil {
			return nil, err
		}
		return b.onClientCore(self, "load-h3", path), write(path, config)
	}
	return scene{
		name: name, servers: b.speaking("h3"),
		load: func(ctx context.Context, s server) (sample, error) {
			args, err := command(s)
			if err != nil {
				return sample{}, err
			}
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Env = append(os.Environ(), append(tuned, "GOMAXPROCS=1")...)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				return sample{}, fmt.Errorf("the HTTP/3 client: %w", err)
			}
			var got sample
			return got, json.Unmarshal(out, &got)
		},
		command: func(server) string {
			return "8 connections of " + strconv.Itoa(b.streams) + " streams by quic-go's client"
		},
	}
}

// loadHTTP3 loads one URL over HTTP/3 and prints the sample.
func loadHTTP3(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var c http3Load
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	// No deadline for what is under way at the end: it is not counted.
	ctx, cancel := context.WithTimeout(context.Background(), c.Duration)
	defer cancel()
	var (
		mu     sync.Mutex
		times  []time.Duration
		failed error
		group  sync.WaitGroup
	)
	for range c.Connections {
		transport := &http3.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return quic.DialAddr(ctx, c.Address, t, q)
			},
		}
		defer transport.Close()
		for range c.Streams {
			group.Go(func() {
				for ctx.Err() == nil {
					start := time.Now()
					err := http3Get(ctx, transport, c.URL)
					took := time.Since(start)
					mu.Lock()
					if err == nil {
						times = append(times, took)
					} else if ctx.Err() == nil {
						failed = err
						cancel()
					}
					mu.Unlock()
				}
			})
		}
	}
	group.Wait()
	if failed != nil {
		return failed
	}
	if len(times) == 0 {
		return errors.New("no request was answered")
	}
	return json.NewEncoder(os.Stdout).Encode(sample{float64(len(times)) / c.Duration.Seconds(), percentile(times, 50), percentile(times, 99)})
}

func http3Get(ctx context.Context, transport *http3.Transport, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
