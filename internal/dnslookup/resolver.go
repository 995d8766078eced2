package dnslookup

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	attempts = 3               // of one look-up, over all servers
	patience = 2 * time.Second // with one server, once
	pause    = 100 * time.Millisecond
)

// systemConfig is where the system names its resolvers, resolv.conf(5).
const systemConfig = "/etc/resolv.conf"

// Resolver asks a recursive resolver. It keeps nothing: each call is asked anew.
type Resolver struct {
	server  string // host:port; none: the system's
	observe func(Outcome, time.Duration)
}

// New makes a resolver that asks the server at an address of the form
// host:port, or the system's own where it is empty. Whatever a look-up comes to
// is told to observe, which may be nil.
func New(server string, observe func(Outcome, time.Duration)) *Resolver {
	if observe == nil {
		observe = func(Outcome, time.Duration) {}
	}
	return &Resolver{server: server, observe: observe}
}

// TXT returns the texts of a name, each joined from its strings (RFC 7208,
// section 3.3, is the custom). Errors are of type [Error].
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	answer, err := r.ask(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, rr := range answer.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			texts = append(texts, strings.Join(txt.Txt, ""))
		}
	}
	if len(texts) == 0 {
		return nil, &Error{Name: name, Type: "TXT", Outcome: Empty}
	}
	return texts, nil
}

// Host is where a name leads.
type Host struct {
	Aliases   []string // the names that its CNAME records lead over, in their order
	Addresses []netip.Addr
}

// Host returns where a name leads. Aliases are there even where the last of
// them does not exist; then, too, the error is nil. Errors are of type [Error].
// Names below localhost are loopback's, RFC 6761 section 6.3.
func (r *Resolver) Host(ctx context.Context, name string) (Host, error) {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return Host{Addresses: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}}, nil
	}
	var h Host
	var failed error
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME} {
		if qtype == dns.TypeCNAME && (failed == nil || len(h.Aliases) > 0) {
			continue // seen already; only a broken target hides it
		}
		answer, err := r.ask(ctx, name, qtype)
		var e *Error
		if errors.As(err, &e) {
			if !e.Absent() && qtype != dns.TypeCNAME {
				failed = err
			}
		} else if err != nil {
			return Host{}, err
		}
		if answer != nil {
			h.add(name, answer.Answer)
		}
	}
	switch {
	case len(h.Aliases) > 0 && failed != nil && len(h.Addresses) == 0:
		return h, nil // an alias to what can't be looked up is an alias all the same
	case failed != nil:
		// Half of the addresses is no answer: the other half may lead elsewhere.
		return Host{}, failed
	case len(h.Aliases) == 0 && len(h.Addresses) == 0:
		return Host{}, &Error{Name: name, Type: "A", Outcome: Empty}
	}
	return h, nil
}

// add takes over what an answer says of a name, following its aliases.
func (h *Host) add(name string, answer []dns.RR) {
	at := dns.Fqdn(name)
	var aliases []string
	for range answer {
		i := slices.IndexFunc(answer, func(rr dns.RR) bool {
			c, ok := rr.(*dns.CNAME)
			return ok && strings.EqualFold(c.Hdr.Name, at)
		})
		if i < 0 {
			break
		}
		at = answer[i].(*dns.CNAME).Target
		aliases = append(aliases, strings.ToLower(strings.TrimSuffix(at, ".")))
	}
	if len(aliases) > len(h.Aliases) {
		h.Aliases = aliases
	}
	for _, rr := range answer {
		var ip net.IP
		switch v := rr.(type) {
		case *dns.A:
			ip = v.A
		case *dns.AAAA:
			ip = v.AAAA
		}
		if addr, ok := netip.AddrFromSlice(ip); ok && strings.EqualFold(rr.Header().Name, at) {
			if addr = addr.Unmap(); !slices.Contains(h.Addresses, addr) {
				h.Addresses = append(h.Addresses, addr)
			}
		}
	}
}

// ask sends one question, again where there was no good answer. The answer is
// there also with an error of the outcome [Missing], as far as it leads.
func (r *Resolver) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	servers, err := r.servers()
	if err != nil {
		return nil, &Error{Name: name, Type: dns.TypeToString[qtype], Outcome: Unreachable, Err: err}
	}
	var last *Error
	for n := range attempts {
		if n > 0 && !rest(ctx) {
			break
		}
		began := time.Now()
		answer, err := exchange(ctx, servers[n%len(servers)], name, qtype)
		outcome := outcomeOf(answer, err)
		r.observe(outcome, time.Since(began))
		if outcome == Found {
			return answer, nil
		}
		last = &Error{Name: name, Type: dns.TypeToString[qtype], Outcome: outcome, Err: err}
		if last.Absent() {
			return answer, last
		}
	}
	return nil, last
}

// rest waits a little before another attempt, and reports whether there is time
// for it.
func rest(ctx context.Context) bool {
	timer := time.NewTimer(pause/2 + rand.N(pause))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// servers are read each time: a laptop changes its network.
func (r *Resolver) servers() ([]string, error) {
	if r.server != "" {
		return []string{r.server}, nil
	}
	config, err := dns.ClientConfigFromFile(systemConfig)
	if err != nil {
		return nil, err
	}
	if len(config.Servers) == 0 {
		return nil, errors.New(systemConfig + " names no server")
	}
	var out []string
	for _, s := range config.Servers {
		out = append(out, net.JoinHostPort(s, config.Port))
	}
	return out, nil
}

// exchange asks one server once, over UDP, and over TCP where the answer was
// too long for that.
func exchange(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype)
	for _, network := range []string{"udp", "tcp"} {
		c := dns.Client{Net: network}
		answer, _, err := c.ExchangeContext(ctx, q, server)
		if err != nil {
			return nil, err
		}
		if len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, q.Question[0].Name) || answer.Question[0].Qtype != qtype {
			return nil, errors.New("the answer is to another question")
		}
		if !answer.Truncated {
			return answer, nil
		}
	}
	return nil, errors.New("the answer is cut off over TCP too")
}
