// Package supabasetest is the part of Supabase Auth (GoTrue) that supabase-js
// speaks to, for tests: sign up, confirm, sign in, refresh, reset, sign out,
// with real keys and tokens. Mails go to an outbox.
package supabasetest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// AnonKey is what browsers send with every request.
const AnonKey = "sb_publishable_for_tests"

// Server is a Supabase project that runs on loopback.
type Server struct {
	// URL is what SUPABASE_URL says.
	URL string
	// TokenTime is how long an access token lasts. Default: an hour.
	TokenTime time.Duration
	// AutoConfirm signs people up without a mail.
	AutoConfirm bool
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	t    testing.TB
	addr string

	mu       sync.Mutex
	server   *http.Server
	keys     []*Key // the last one signs
	users    []*user
	sessions map[string]*session // by refresh token
	codes    map[string]*code    // by auth code, and by the token of a mail
	mails    map[string][]string // links, by address
	fetches  int
	broken   int // status that the keys are answered with; 0: they are served
}

// Start starts a server with one key, which the end of the test stops.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		TokenTime: time.Hour, Now: time.Now, t: t,
		sessions: map[string]*session{}, codes: map[string]*code{}, mails: map[string][]string{},
	}
	s.keys = []*Key{NewKey()}
	s.addr = "127.0.0.1:0"
	s.Start()
	s.URL = "http://" + s.addr
	t.Cleanup(s.Stop)
	return s
}

// Start starts it again, at the same address.
func (s *Server) Start() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.mu.Lock()
	s.server = server
	s.mu.Unlock()
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.t.Error(err)
		}
	}()
}

// Stop stops it as a crash would: nobody gets an answer.
func (s *Server) Stop() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
}

// Rotate makes a new key that signs from now on. The others stay published.
func (s *Server) Rotate() *Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, NewKey())
	return s.keys[len(s.keys)-1]
}

// Key is the one that signs.
func (s *Server) Key() *Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[len(s.keys)-1]
}

// Publish replaces all keys.
func (s *Server) Publish(keys ...*Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

// Break has the keys answered with a status instead; 0 mends that.
func (s *Server) Break(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = status
}

// Fetches counts how often the keys were asked for.
func (s *Server) Fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

// Mail waits for the next mail to an address and returns the link in it.
func (s *Server) Mail(ctx context.Context, to string) (string, error) {
	for {
		s.mu.Lock()
		if mails := s.mails[to]; len(mails) > 0 {
			s.mails[to] = mails[1:]
			s.mu.Unlock()
			return mails[0], nil
		}
		s.mu.Unlock()
		select {
		case <-time.After(10 * time.Millisecond): // between two looks
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// Delete removes a user and the sessions of it.
func (s *Server) Delete(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, u := range s.users {
		if u.Email == email {
			s.users = append(s.users[:i], s.users[i+1:]...)
			break
		}
	}
	for refresh, session := range s.sessions {
		if session.user.Email == email {
			delete(s.sessions, refresh)
		}
	}
}
