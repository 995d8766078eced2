// Package dnstest is a DNS server for tests: a real one, on loopback, over UDP
// and TCP, with the records and the faults that a test gives it.
package dnstest

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server answers for the records that it has.
type Server struct {
	Addr string // host:port

	mu      sync.Mutex
	records map[string][]dns.RR // by name in lower case, with its final dot
	faults  map[string]Fault
	asked   int
	tcp     int
}

// Fault is how a name is answered wrongly.
type Fault int

// The faults.
const (
	None     Fault = iota
	ServFail       // SERVFAIL
	Refuse         // REFUSED
	Silent         // no answer
	Cut            // truncated over UDP, whole over TCP
)

// Start serves until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{records: map[string][]dns.RR{}, faults: map[string]Fault{}}
	var packets net.PacketConn
	var streams net.Listener
	var err error
	for range 10 { // the same port of both protocols
		if streams, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if packets, err = net.ListenPacket("udp", streams.Addr().String()); err == nil {
			break
		}
		streams.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = streams.Addr().String()
	var running sync.WaitGroup
	t.Cleanup(running.Wait) // after both were shut down
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s.handler(false)}, {Listener: streams, Handler: s.handler(true)}} {
		ready := make(chan struct{})
		server.NotifyStartedFunc = func() { close(ready) }
		running.Go(func() { _ = server.ActivateAndServe() })
		<-ready
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return s
}

// Set gives a name the records of a type, in the form of a zone file without
// name, time and class: Set("www.example.test", "CNAME", "site.example.net.").
// No values remove them.
func (s *Server) Set(t testing.TB, name, recordType string, values ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	name = strings.ToLower(dns.Fqdn(name))
	kept := s.records[name][:0]
	for _, rr := range s.records[name] {
		if dns.TypeToString[rr.Header().Rrtype] != recordType {
			kept = append(kept, rr)
		}
	}
	for _, value := range values {
		rr, err := dns.NewRR(name + " 60 IN " + recordType + " " + value)
		if err != nil {
			t.Errorf("record %s %s %s: %v", name, recordType, value, err)
			return
		}
		kept = append(kept, rr)
	}
	s.records[name] = kept
}

// Break answers for a name wrongly from now on; None mends it.
func (s *Server) Break(name string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[strings.ToLower(dns.Fqdn(name))] = f
}

// Asked returns how many questions there were in all, and how many over TCP.
func (s *Server) Asked() (all, tcp int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.tcp
}

func (s *Server) handler(tcp bool) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		if m := s.answer(q, tcp); m != nil {
			_ = w.WriteMsg(m) // the client may be gone
		}
	}
}

func (s *Server) answer(q *dns.Msg, tcp bool) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if tcp {
		s.tcp++
	}
	m := new(dns.Msg)
	m.SetReply(q)
	if len(q.Question) != 1 {
		return m.SetRcode(q, dns.RcodeFormatError)
	}
	name, qtype := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	for range 8 { // aliases are followed, as a recursive resolver does
		switch s.faults[name] {
		case ServFail:
			return m.SetRcode(q, dns.RcodeServerFailure)
		case Refuse:
			return m.SetRcode(q, dns.RcodeRefused)
		case Silent:
			return nil
		case Cut:
			if !tcp {
				m.Truncated = true
				return m
			}
		}
		rows, next := s.records[name], ""
		if len(rows) == 0 {
			m.Rcode = dns.RcodeNameError
			return m
		}
		for _, rr := range rows {
			if rr.Header().Rrtype == qtype {
				m.Answer = append(m.Answer, rr)
			} else if c, ok := rr.(*dns.CNAME); ok {
				m.Answer = append(m.Answer, rr)
				next = strings.ToLower(c.Target)
			}
		}
		if next == "" {
			return m
		}
		name = next
	}
	return m
}
