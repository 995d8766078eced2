package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/dnslookup/dnstest"
)

func TestDomainsOnTheCommandLine(t *testing.T) {
	dns := dnstest.Start(t)
	t.Setenv("DNS_RESOLVER", dns.Addr)
	startUp(t)
	deployed := command(t, "deploy", write(t, t.TempDir(), map[string]string{"index.html": "hello"}), "--project", "shop", "-y")
	if deployed.code != 0 {
		t.Fatal(deployed.stderr)
	}
	domains := func(args ...string) ran { return command(t, append([]string{"domains"}, args...)...) }
	if r := domains(); r.code != 2 || !strings.Contains(r.stderr, "--project") {
		t.Errorf("without a project: %+v", r)
	}
	if r := domains("add", "--project", "shop"); r.code != 2 {
		t.Errorf("without a host: %+v", r)
	}
	if r := domains("--project", "shop"); r.code != 0 || !strings.Contains(r.stderr, "domains add") {
		t.Errorf("none yet: %+v", r)
	}
	// What is refused is told in a sentence, without the call that carried it.
	if r := domains("add", "https://customer.test", "--project", "shop"); r.code != 1 || !strings.Contains(r.stderr, "without https") || strings.Contains(r.stderr, "/projects/") || strings.Contains(r.stderr, "status") {
		t.Errorf("a bad name: %+v", r)
	}
	added := domains("add", "customer.test", "--redirect-other", "--project", "shop", "--json")
	pair := decode[[]controlplane.Domain](t, added.stdout)
	if added.code != 0 || len(pair) != 2 || pair[1].RedirectTo != "customer.test" {
		t.Fatalf("%+v", added)
	}
	if r := domains("verify", "customer.test", "--project", "shop"); r.code != 1 || !strings.Contains(r.stdout, pair[0].Records[0].Value) || !strings.Contains(r.stderr, "pending") {
		t.Errorf("before its records are set: %+v", r)
	}
	if r := domains("--project", "shop"); r.code != 0 || strings.Count(r.stdout, "not found in DNS: TXT, ") != 2 {
		t.Errorf("the list says what is to be set: %+v", r)
	}
	for _, d := range pair {
		dns.Set(t, d.Records[0].Name, "TXT", fmt.Sprintf("%q", d.Records[0].Value))
		dns.Set(t, d.Host, "CNAME", "shop.localhost.") // as an ALIAS is not seen here
	}
	for _, host := range []string{"www.customer.test", "customer.test"} {
		if r := domains("verify", host, "--project", "shop"); r.code != 0 || !strings.Contains(r.stdout, "active") || !strings.Contains(r.stdout, "found") {
			t.Errorf("verify %s: %+v", host, r)
		}
	}
	if r := domains("list", "--project", "shop"); r.code != 0 || !strings.Contains(r.stdout, "customer.test") || !strings.Contains(r.stdout, "(primary)") || !strings.Contains(r.stdout, "redirects to customer.test") {
		t.Errorf("%+v", r)
	}
	if r := command(t, "projects"); !strings.Contains(r.stdout, "http://customer.test:") {
		t.Errorf("the project's address: %+v", r)
	}
	if r := domains("remove", "customer.test", "--project", "shop"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if left := decode[[]controlplane.Domain](t, domains("--project", "shop", "--json").stdout); len(left) != 0 {
		t.Errorf("%+v", left)
	}
}
