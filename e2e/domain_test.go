//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/dnslookup/dnstest"
)

type domain struct {
	Host, State, RedirectTo string
	Records                 []struct{ Type, Name, Value, State string }
}

func TestADomainOfOnesOwn(t *testing.T) {
	dns := dnstest.Start(t)
	p := start(t, "DNS_RESOLVER="+dns.Addr, "EDGE_ADDRESSES=192.0.2.10")
	dir := folder(t, map[string]string{"index.html": "one"})
	deployed := p.deploy(0, dir, "--project", "shop", "--prod")

	// The edge has learnt that it does not know the name before it is added.
	if answer := p.head(t, "customer.test", "/"); answer != nil && answer.StatusCode == http.StatusOK {
		t.Fatalf("an unknown name: %s", answer.Status)
	}
	var apex domain
	if code := p.call("POST", "/projects/"+deployed.ProjectID+"/domains", map[string]any{"host": "Customer.TEST", "redirectOther": true}, &apex); code != http.StatusCreated {
		t.Fatalf("add: %d %+v", code, apex)
	}
	domains := func() []domain {
		var list struct{ Items []domain }
		p.call("GET", "/projects/"+deployed.ProjectID+"/domains", nil, &list)
		return list.Items
	}
	all := domains()
	if apex.State != "pending" || len(all) != 2 || all[1].Host != "www.customer.test" {
		t.Fatalf("%+v %+v", apex, all)
	}
	for _, d := range all {
		for _, r := range d.Records {
			value := r.Value
			switch r.Type {
			case "TXT":
				value = fmt.Sprintf("%q", value)
			case "CNAME":
				value += "."
			}
			dns.Set(t, r.Name, r.Type, value)
		}
	}
	// Nobody asks for it: the records are looked up by themselves.
	p.eventually("both are verified", func() bool {
		for _, d := range domains() {
			if d.State != "active" {
				return false
			}
		}
		return true
	})
	p.eventually("the edge answers", func() bool {
		answer := p.head(t, "customer.test", "/")
		return answer != nil && answer.StatusCode == http.StatusOK
	})
	p.serves("http://customer.test:"+portOf(p.edge), "/", "one")
	p.eventually("the other one redirects, with path and query", func() bool {
		answer := p.head(t, "www.customer.test", "/a/b?c=d")
		return answer != nil && answer.StatusCode == http.StatusPermanentRedirect && strings.HasSuffix(answer.Header.Get("Location"), "/a/b?c=d") &&
			strings.Contains(answer.Header.Get("Location"), "//customer.test")
	})
	write(t, dir, "index.html", "two")
	again := p.deploy(0, dir, "--project", "shop", "--prod")
	if again.URL != "http://customer.test:"+portOf(p.edge) {
		t.Errorf("the deployment's address is %s", again.URL)
	}
	p.serves(again.URL, "/", "two")

	if stdout, stderr, code := p.run("domains", "remove", "customer.test", "--project", "shop"); code != 0 {
		t.Fatalf("remove: %s %s", stdout, stderr)
	}
	for _, host := range []string{"customer.test", "www.customer.test"} {
		p.eventually(host+" is gone", func() bool {
			answer := p.head(t, host, "/")
			return answer != nil && answer.StatusCode == http.StatusGone
		})
	}
	p.serves("http://shop.localhost:"+portOf(p.edge), "/", "two")
}

// head asks the edge for the head of an answer; nil: it closed the connection.
func (p *platform) head(t *testing.T, host, target string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+host+":"+portOf(p.edge)+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, p.edge)
	}}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return nil
	}
	answer.Body.Close()
	return answer
}
