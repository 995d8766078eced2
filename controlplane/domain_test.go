package controlplane_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/dnslookup/dnstest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// domainPlane is a control plane with a DNS server that tests write.
type domainPlane struct {
	*plane
	dns *dnstest.Server
}

func newDomainPlane(t *testing.T, options ...option) *domainPlane {
	t.Helper()
	server := dnstest.Start(t)
	ask := func(p *plane) { p.config.DNSResolver = server.Addr }
	return &domainPlane{newPlane(t, append([]option{ask}, options...)...), server}
}

func (p *domainPlane) add(project, host string) *controlplane.Domain {
	p.t.Helper()
	d, err := p.AddDomain(p.t.Context(), p.me, project, controlplane.DomainInput{Host: host})
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// publishRecords does in DNS what a domain asks for.
func (p *domainPlane) publishRecords(d *controlplane.Domain) {
	p.t.Helper()
	for _, r := range d.Records {
		switch r.Type {
		case "TXT":
			p.dns.Set(p.t, r.Name, "TXT", fmt.Sprintf("%q", r.Value))
		case "CNAME":
			p.dns.Set(p.t, r.Name, "CNAME", r.Value+".")
		case "A", "AAAA":
			p.dns.Set(p.t, r.Name, r.Type, r.Value)
		}
	}
}

func (p *domainPlane) dropRecords(d *controlplane.Domain) {
	p.t.Helper()
	for _, r := range d.Records {
		p.dns.Set(p.t, r.Name, r.Type)
	}
}

func (p *domainPlane) verify(project, host string) *controlplane.Domain {
	p.t.Helper()
	d, err := p.VerifyDomain(p.t.Context(), p.me, project, host)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// verified adds a domain and has it verified.
func (p *domainPlane) verified(project, host string) *controlplane.Domain {
	p.t.Helper()
	p.publishRecords(p.add(project, host))
	d := p.verify(project, host)
	if d.State != controlplane.DomainActive {
		p.t.Fatalf("%s is %s: %+v", host, d.State, d.Records)
	}
	return d
}

func (p *domainPlane) stored(project, host string) *controlplane.Domain {
	p.t.Helper()
	items, err := p.Domains(p.t.Context(), p.me, project)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, d := range items {
		if d.Host == host {
			return d
		}
	}
	p.t.Fatalf("no domain %s", host)
	return nil
}

// round looks at what is due, after a while.
func (p *domainPlane) round(after time.Duration) {
	p.t.Helper()
	p.clock.Advance(after)
	if err := p.CheckDomainsOnce(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *domainPlane) routes(host, deployment string) {
	p.t.Helper()
	eventually(p.t, host+" leads to "+deployment, func() bool {
		r := p.route(host)
		return r.Deployment == deployment && !r.Gone && r.Environment == site.Production && r.RedirectTo == ""
	})
}

func (p *domainPlane) gone(host string) {
	p.t.Helper()
	eventually(p.t, host+" is a tombstone", func() bool { return p.route(host).Gone })
}

const customer = "www.customer.test"

func TestADomainRoutesOnceItIsVerified(t *testing.T) {
	p := newDomainPlane(t)
	p.start()
	project := p.project("repo")
	one := p.deployFiles(project.ID, site.Production, version(1))
	d := p.add(project.ID, "WWW.Customer.TEST.")
	if d.Host != customer || d.State != controlplane.DomainPending || len(d.Records) != 2 || d.CheckedAt == nil {
		t.Fatalf("%+v", d)
	}
	txt, cname := d.Records[0], d.Records[1]
	if txt.Name != "_mini-vercel."+customer || len(txt.Value) != 32 || cname.Type != "CNAME" || cname.Value != productionHost {
		t.Errorf("records: %+v", d.Records)
	}
	if txt.State != controlplane.RecordMissing || cname.State != controlplane.RecordMissing {
		t.Errorf("records before they are set: %+v", d.Records)
	}
	if r := p.route(customer); r.Host != "" {
		t.Fatalf("it routes before it is verified: %+v", r)
	}
	p.dns.Set(t, customer, "CNAME", productionHost+".")
	if d = p.verify(project.ID, customer); d.State != controlplane.DomainPending || d.Records[1].State != controlplane.RecordFound || len(d.Records[1].Seen) != 1 {
		t.Fatalf("without the text: %+v", d)
	}
	p.dns.Set(t, txt.Name, "TXT", `"something else"`)
	if d = p.verify(project.ID, customer); d.State != controlplane.DomainPending || d.Records[0].State != controlplane.RecordWrong {
		t.Fatalf("with another text: %+v", d)
	}
	// By itself, in the background.
	p.dns.Set(t, txt.Name, "TXT", `"something else"`, `"`+txt.Value+`"`)
	p.round(time.Minute)
	if d = p.stored(project.ID, customer); d.State != controlplane.DomainActive || d.VerifiedAt == nil || !d.Primary {
		t.Fatalf("verified: %+v", d)
	}
	p.routes(customer, one.ID)
	got, err := p.Project(t.Context(), p.me, project.ID)
	if err != nil || got.CustomDomain != customer || got.URL != "http://"+customer {
		t.Errorf("project: %+v %v", got, err)
	}

	// It follows production.
	two := p.deployFiles(project.ID, site.Production, version(2))
	p.routes(customer, two.ID)
	if r := p.route(customer); len(r.Previous) != 1 || r.Previous[0].Deployment != one.ID {
		t.Errorf("earlier deployments: %+v", r.Previous)
	}
	if two.URL != "http://"+customer || !two.InProduction {
		t.Errorf("deployment: %+v", two)
	}
	if _, err := p.Promote(t.Context(), p.me, one.ID, controlplane.PromoteInput{}); err != nil {
		t.Fatal(err)
	}
	p.routes(customer, one.ID)
	if _, err := p.ResumeProject(t.Context(), p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	p.routes(customer, two.ID)
	preview := p.deployFiles(project.ID, site.Preview, version(3))
	if r := p.route(customer); r.Deployment != two.ID || preview.URL == two.URL {
		t.Errorf("a preview took the domain: %+v", r)
	}
	// And stays when the project's subdomain changes.
	name := "renamed"
	if _, err := p.UpdateProject(t.Context(), p.me, project.ID, controlplane.ProjectPatch{SubDomain: &name}); err != nil {
		t.Fatal(err)
	}
	p.gone(productionHost)
	if d = p.verify(project.ID, customer); d.State != controlplane.DomainActive || d.Records[1].Value != "renamed.example.test" {
		t.Errorf("after the project was renamed: %+v", d)
	}
	p.routes(customer, two.ID)

	if err := p.RemoveDomain(t.Context(), p.me, project.ID, customer); err != nil {
		t.Fatal(err)
	}
	p.gone(customer)
	if got, err := p.Project(t.Context(), p.me, project.ID); err != nil || got.CustomDomain != "" {
		t.Errorf("project: %+v %v", got, err)
	}
	wantCode(t, p.RemoveDomain(t.Context(), p.me, project.ID, customer), controlplane.CodeNotFound)
}

func TestADomainWithoutADeploymentRoutesToNothing(t *testing.T) {
	p := newDomainPlane(t)
	p.start()
	project := p.project("repo")
	p.verified(project.ID, customer)
	eventually(t, "it routes", func() bool { return p.route(customer).Project == project.ID })
	d := p.deployFiles(project.ID, "", version(1))
	p.routes(customer, d.ID)
	if err := p.DeleteProject(t.Context(), p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	p.gone(customer)
	// The name is free for who proves that it is theirs.
	again := p.project("again")
	p.verified(again.ID, customer)
	eventually(t, "it routes again", func() bool { r := p.route(customer); return !r.Gone && r.Project == again.ID })
}

func TestAFailedLookUpIsNoAbsence(t *testing.T) {
	t.Parallel()
	p := newDomainPlane(t)
	p.start()
	project := p.project("repo")
	d := p.verified(project.ID, customer)
	for _, row := range []struct {
		name  string
		fault dnstest.Fault
	}{{d.Records[0].Name, dnstest.ServFail}, {customer, dnstest.ServFail}, {d.Records[0].Name, dnstest.Refuse}} {
		p.dns.Break(row.name, row.fault)
		for range 3 {
			p.round(8 * 24 * time.Hour)
		}
		got := p.verify(project.ID, customer)
		failed := got.Records[0].State == controlplane.RecordFailed || got.Records[1].State == controlplane.RecordFailed
		if got.State != controlplane.DomainActive || !failed || got.MissingSince != nil {
			t.Errorf("while %s is broken: %+v", row.name, got)
		}
		p.dns.Break(row.name, dnstest.None)
	}
	// Nor does a failure verify.
	other := p.add(project.ID, "new.customer.test")
	p.dns.Set(t, other.Host, "CNAME", productionHost+".")
	p.dns.Break(other.Records[0].Name, dnstest.ServFail)
	if got := p.verify(project.ID, other.Host); got.State != controlplane.DomainPending || got.Records[0].Detail == "" {
		t.Errorf("%+v", got)
	}
}

func TestADomainStopsWhenItsRecordsAreGoneForAWeek(t *testing.T) {
	p := newDomainPlane(t)
	p.start()
	project := p.project("repo")
	deployed := p.deployFiles(project.ID, site.Production, version(1))
	d := p.verified(project.ID, customer)
	p.routes(customer, deployed.ID)

	p.dropRecords(d)
	p.round(2 * time.Hour)
	got := p.stored(project.ID, customer)
	if got.State != controlplane.DomainMissing || got.MissingSince == nil || !got.StopsAt.Equal(got.MissingSince.Add(7*24*time.Hour)) {
		t.Fatalf("%+v", got)
	}
	p.round(7*24*time.Hour - time.Minute)
	if got = p.stored(project.ID, customer); got.State != controlplane.DomainMissing {
		t.Fatalf("a minute before the week is over: %+v", got)
	}
	p.routes(customer, deployed.ID)
	p.round(2 * time.Hour)
	if got = p.stored(project.ID, customer); got.State != controlplane.DomainStopped || got.StoppedAt == nil {
		t.Fatalf("a week later: %+v", got)
	}
	p.gone(customer)
	if project, err := p.Project(t.Context(), p.me, project.ID); err != nil || project.CustomDomain != "" {
		t.Errorf("project: %+v %v", project, err)
	}

	// A failure in between neither stops nor starts anything.
	p.dns.Break(d.Records[0].Name, dnstest.ServFail)
	p.dns.Set(t, customer, "CNAME", productionHost+".")
	p.round(8 * time.Hour)
	if got = p.stored(project.ID, customer); got.State != controlplane.DomainStopped {
		t.Fatalf("%+v", got)
	}
	p.dns.Break(d.Records[0].Name, dnstest.None)
	p.publishRecords(d)
	p.round(8 * time.Hour)
	if got = p.stored(project.ID, customer); got.State != controlplane.DomainActive || got.MissingSince != nil || got.StoppedAt != nil {
		t.Fatalf("with its records again: %+v", got)
	}
	p.routes(customer, deployed.ID)

	// The week begins anew each time.
	p.dropRecords(d)
	p.round(2 * time.Hour)
	p.publishRecords(d)
	p.round(6 * 24 * time.Hour)
	p.dropRecords(d)
	p.round(2 * 24 * time.Hour)
	if got = p.stored(project.ID, customer); got.State != controlplane.DomainMissing {
		t.Errorf("%+v", got)
	}
}

func TestADomainOfAnotherProjectIsRefused(t *testing.T) {
	p := newDomainPlane(t)
	p.start()
	mine := p.project("repo")
	other := controlplane.Principal{UserID: "other", Scope: controlplane.ScopeAdmin}
	theirs, err := p.CreateProject(t.Context(), other, controlplane.ProjectInput{Name: "theirs"})
	if err != nil {
		t.Fatal(err)
	}
	claim := func() (*controlplane.Domain, error) {
		return p.AddDomain(t.Context(), other, theirs.ID, controlplane.DomainInput{Host: customer})
	}
	// Both may claim it; the first to prove it has it.
	second, err := claim()
	if err != nil {
		t.Fatal(err)
	}
	first := p.verified(mine.ID, customer)
	eventually(t, "it routes", func() bool { return p.route(customer).Project == mine.ID })
	p.dns.Set(t, first.Records[0].Name, "TXT", `"`+first.Records[0].Value+`"`, `"`+second.Records[0].Value+`"`)
	seen, err := p.VerifyDomain(t.Context(), other, theirs.ID, customer)
	if err != nil || seen.State != controlplane.DomainPending || !strings.Contains(seen.Detail, "Another project") || seen.Records[0].State != controlplane.RecordFound {
		t.Fatalf("both texts: %+v %v", seen, err)
	}
	if strings.Contains(fmt.Sprintf("%+v", seen), mine.ID) || strings.Contains(seen.Detail, mine.Name) {
		t.Error("it tells whose it is")
	}
	if err := p.RemoveDomain(t.Context(), other, theirs.ID, customer); err != nil {
		t.Fatal(err)
	}
	if r := p.route(customer); r.Gone || r.Project != mine.ID {
		t.Fatalf("who has it no more removed its route: %+v", r)
	}
	_, err = claim()
	wantCode(t, err, controlplane.CodeConflict)
	if !strings.Contains(err.Error(), second.Records[0].Value) || strings.Contains(err.Error(), mine.Name) {
		t.Errorf("%v", err)
	}
	// Not while DNS can't be asked.
	p.dns.Break(first.Records[0].Name, dnstest.ServFail)
	_, err = claim()
	wantCode(t, err, controlplane.CodeConflict)
	p.dns.Break(first.Records[0].Name, dnstest.None)
	// Its owner in DNS decides: the former project's text is gone.
	p.dns.Set(t, first.Records[0].Name, "TXT", `"`+second.Records[0].Value+`"`)
	p.dns.Set(t, customer, "CNAME", "theirs.example.test.")
	taken, err := claim()
	if err != nil || taken.State != controlplane.DomainActive {
		t.Fatalf("%+v %v", taken, err)
	}
	eventually(t, "it leads to the other project", func() bool { r := p.route(customer); return !r.Gone && r.Project == theirs.ID })
	if d := p.stored(mine.ID, customer); d.State != controlplane.DomainPending || !strings.Contains(d.Detail, "Another project") {
		t.Errorf("its former project: %+v", d)
	}
	if project, err := p.Project(t.Context(), p.me, mine.ID); err != nil || project.CustomDomain != "" {
		t.Errorf("its former project: %+v %v", project, err)
	}
	// To its owner, the refusal names the project.
	_, err = p.AddDomain(t.Context(), other, p.projectOf(other).ID, controlplane.DomainInput{Host: customer})
	if wantCode(t, err, controlplane.CodeConflict); !strings.Contains(err.Error(), "your project theirs") {
		t.Errorf("%v", err)
	}
}

func (p *plane) projectOf(who controlplane.Principal) *controlplane.Project {
	p.t.Helper()
	project, err := p.CreateProject(p.t.Context(), who, controlplane.ProjectInput{Name: "another"})
	if err != nil {
		p.t.Fatal(err)
	}
	return project
}

func TestOneOfTwoRedirectsToTheOther(t *testing.T) {
	addresses := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	p := newDomainPlane(t, func(p *plane) { p.config.EdgeAddresses = addresses })
	p.start()
	project := p.project("repo")
	deployed := p.deployFiles(project.ID, site.Production, version(1))
	pair := func(host string) *controlplane.Domain {
		t.Helper()
		d, err := p.AddDomain(t.Context(), p.me, project.ID, controlplane.DomainInput{Host: host, RedirectOther: true})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	apex := pair("customer.test")
	if len(apex.Records) != 3 || apex.Records[1].Type != "A" || apex.Records[2].Type != "AAAA" {
		t.Fatalf("records of an apex: %+v", apex.Records)
	}
	www := p.stored(project.ID, customer)
	if www.RedirectTo != "customer.test" {
		t.Fatalf("%+v", www)
	}
	// Until the other one answers, a redirect to it would help nobody.
	p.publishRecords(www)
	p.verify(project.ID, customer)
	p.routes(customer, deployed.ID)
	p.publishRecords(apex)
	p.verify(project.ID, "customer.test")
	p.routes("customer.test", deployed.ID)
	redirects := func(from, to string) {
		t.Helper()
		eventually(t, from+" redirects to "+to, func() bool { return p.route(from).RedirectTo == to })
	}
	redirects(customer, "customer.test")
	if got, _ := p.Project(t.Context(), p.me, project.ID); got.CustomDomain != "customer.test" {
		t.Errorf("the primary domain is %s", got.CustomDomain)
	}
	d := p.deployFiles(project.ID, site.Production, version(2))
	p.routes("customer.test", d.ID)
	redirects(customer, "customer.test")
	// A link to the one leads to the other, where its token is good.
	word := accessWord
	if err := p.setAccess(project.ID, site.AccessAll, &word); err != nil {
		t.Fatal(err)
	}
	link, err := p.ShareLink(t.Context(), p.me, project.ID, controlplane.ShareInput{Host: customer, Path: "/docs", ExpiresIn: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record has the protection", func() bool { return p.record(project.ID).Access != nil })
	address, token, _ := strings.Cut(link.URL, "?mv_share=")
	if _, good := site.CheckAccessToken(p.record(project.ID).Access.CookieKey, site.AccessShare, "customer.test", token, p.clock.Now()); !good || address != "http://customer.test/docs" || link.Host != "customer.test" {
		t.Errorf("the link is %+v, its token good: %v", link, good)
	}
	if d.URL != "http://customer.test" {
		t.Errorf("address: %s", d.URL)
	}
	// The other way round.
	pair(customer)
	redirects("customer.test", customer)
	p.routes(customer, d.ID)
	// Whoever redirects goes with it.
	if err := p.RemoveDomain(t.Context(), p.me, project.ID, customer); err != nil {
		t.Fatal(err)
	}
	p.gone(customer)
	p.gone("customer.test")
	if items, err := p.Domains(t.Context(), p.me, project.ID); err != nil || len(items) != 0 {
		t.Errorf("%+v %v", items, err)
	}
}

func TestThePrimaryDomainIsChosen(t *testing.T) {
	p := newDomainPlane(t)
	project := p.project("repo")
	choose := func(host string) (*controlplane.Project, error) {
		return p.UpdateProject(t.Context(), p.me, project.ID, controlplane.ProjectPatch{CustomDomain: &host})
	}
	p.verified(project.ID, "a.customer.test")
	p.verified(project.ID, "b.customer.test")
	pending := p.add(project.ID, "c.customer.test")
	got, err := choose("b.customer.test")
	if err != nil || got.CustomDomain != "b.customer.test" || got.URL != "http://b.customer.test" || !p.stored(project.ID, "b.customer.test").Primary {
		t.Fatalf("%+v %v", got, err)
	}
	for _, host := range []string{pending.Host, "nobody.test"} {
		_, err := choose(host)
		wantCode(t, err, controlplane.CodeInvalid)
	}
	if d := p.verify(project.ID, "a.customer.test"); d.Primary {
		t.Error("it does not stay as chosen")
	}
	if err := p.RemoveDomain(t.Context(), p.me, project.ID, "b.customer.test"); err != nil {
		t.Fatal(err)
	}
	if !p.stored(project.ID, "a.customer.test").Primary {
		t.Error("no other takes the place of the one that is removed")
	}
}

func TestWhereADomainMayLead(t *testing.T) {
	p := newDomainPlane(t, func(p *plane) {
		p.config.EdgeAddresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		p.config.EdgeCNAME = "edge.platform.test"
	})
	project := p.project("repo")
	p.dns.Set(t, "edge.platform.test", "A", "192.0.2.1", "192.0.2.2")
	p.dns.Set(t, "elsewhere.test", "A", "198.51.100.1")
	p.dns.Set(t, "between.test", "CNAME", "edge.platform.test.")
	for i, row := range []struct {
		name  string
		set   func(host string)
		state controlplane.RecordState
		seen  string
	}{
		{"the platform's name", func(h string) { p.dns.Set(t, h, "CNAME", "edge.platform.test.") }, controlplane.RecordFound, "edge.platform.test"},
		{"over another name", func(h string) { p.dns.Set(t, h, "CNAME", "between.test.") }, controlplane.RecordFound, "between.test edge.platform.test"},
		{"another project's host", func(h string) { p.dns.Set(t, h, "CNAME", "any.example.test.") }, controlplane.RecordFound, "any.example.test"},
		{"its addresses", func(h string) { p.dns.Set(t, h, "A", "192.0.2.1", "192.0.2.2") }, controlplane.RecordFound, "192.0.2.1 192.0.2.2"},
		{"elsewhere", func(h string) { p.dns.Set(t, h, "CNAME", "elsewhere.test.") }, controlplane.RecordWrong, "elsewhere.test"},
		{"nowhere", func(h string) { p.dns.Set(t, h, "CNAME", "nowhere.test.") }, controlplane.RecordWrong, "nowhere.test"},
		{"also elsewhere", func(h string) { p.dns.Set(t, h, "A", "192.0.2.1", "198.51.100.1") }, controlplane.RecordWrong, "192.0.2.1 198.51.100.1"},
		{"IPv6 elsewhere", func(h string) { p.dns.Set(t, h, "A", "192.0.2.1"); p.dns.Set(t, h, "AAAA", "2001:db8::9") }, controlplane.RecordWrong, "192.0.2.1 2001:db8::9"},
		{"only text", func(h string) { p.dns.Set(t, h, "TXT", `"x"`) }, controlplane.RecordMissing, ""},
	} {
		host := fmt.Sprintf("h%d.customer.test", i)
		row.set(host)
		d := p.add(project.ID, host)
		if got := d.Records[1]; got.State != row.state || strings.Join(got.Seen, " ") != row.seen || got.State == controlplane.RecordWrong && got.Detail == "" {
			t.Errorf("%s: %+v", row.name, got)
		}
	}
	// Without addresses, an apex is an alias, whatever its provider makes of it.
	q := newDomainPlane(t)
	other := q.project("repo")
	q.dns.Set(t, productionHost, "A", "192.0.2.7")
	q.dns.Set(t, "customer.test", "A", "192.0.2.7")
	if d := q.add(other.ID, "customer.test"); d.Records[1].Type != "ALIAS" || d.Records[1].State != controlplane.RecordFound {
		t.Errorf("%+v", d.Records)
	}
	q.dns.Break(productionHost, dnstest.ServFail)
	if d := q.verify(other.ID, "customer.test"); d.Records[1].State != controlplane.RecordFailed {
		t.Errorf("the platform's own name can't be looked up: %+v", d.Records)
	}
}

func TestNamesThatAreNoDomains(t *testing.T) {
	p := newDomainPlane(t, func(p *plane) {
		p.config.OwnHosts = []string{"deploy.platform.test"}
		p.config.EdgeCNAME = "edge.platform.test"
	})
	project := p.project("repo")
	long := strings.Repeat("a", 60)
	fits := strings.Join([]string{long, long, long, strings.Repeat("b", 51), "test"}, ".") // 239 and 13 are 252
	for _, row := range []struct{ name, want string }{
		{"münchen.example.com", "xn--mnchen-3ya.example.com"},
		{" Example.COM. ", "example.com"},
		{"xn--bcher-kva.example.com", "xn--bcher-kva.example.com"},
		{"日本語。jp", "xn--wgv71a119e.jp"},
		{"faß.de", "xn--fa-hia.de"},
		{"me.github.io", "me.github.io"},
		{fits, fits},
		{"b" + fits, "b" + fits}, // with the prefix just what DNS takes
	} {
		d, err := p.AddDomain(t.Context(), p.me, project.ID, controlplane.DomainInput{Host: row.name})
		if err != nil || d.Host != row.want {
			t.Errorf("%q: %+v %v", row.name, d, err)
		}
	}
	if d := p.stored(project.ID, "xn--mnchen-3ya.example.com"); d.Unicode != "münchen.example.com" {
		t.Errorf("%+v", d)
	}
	if d, err := p.Domain(t.Context(), p.me, project.ID, "münchen.example.com"); err != nil || d.Host != "xn--mnchen-3ya.example.com" {
		t.Errorf("found by its name: %+v %v", d, err)
	}
	for name, want := range map[string]string{
		"": "Give a domain", "https://example.com": "without https", "example.com/path": "without https", "user@example.com": "without https",
		"*.example.com": "Wildcards", "192.0.2.1": "IP address", "[2001:db8::1]": "IP address", "example.com:443": "port", "localhost": "single word",
		"com": "single word", "co.uk": "public suffix", "github.io": "public suffix", "1.2.3": "number", "a_b.example.com": "not a domain",
		"-a.example.com": "not a domain", "a..example.com": "not a domain", "xn--a.example.com": "not a domain", "a b.example.com": "not a domain", "a\u200db.example.com": "not a domain",
		"example.test": "below example.test", "x.example.test": "below example.test", "deploy.platform.test": "own address", "x.deploy.platform.test": "own address",
		"edge.platform.test": "own", "printer.local": ".local", "x.onion": ".onion", strings.Repeat("a", 64) + ".example.com": "not a domain",
		"b." + fits: "too long",
	} {
		_, err := p.AddDomain(t.Context(), p.me, project.ID, controlplane.DomainInput{Host: name})
		var e *controlplane.Error
		if !errors.As(err, &e) || e.Code != controlplane.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Field != "host" || !strings.Contains(e.Message, want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	_, err := p.AddDomain(t.Context(), p.me, project.ID, controlplane.DomainInput{Host: "www.co.uk", RedirectOther: true})
	var e *controlplane.Error
	if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != "redirectOther" {
		t.Errorf("the other one is a public suffix: %v", err)
	}
	_, err = p.AddDomain(t.Context(), p.me, project.ID, controlplane.DomainInput{Host: "example.com"})
	wantCode(t, err, controlplane.CodeInvalid) // is there already
}

func TestDomainsAreLimitedAndOnesOwn(t *testing.T) {
	p := newDomainPlane(t, func(p *plane) { p.config.MaxDomains = 3 })
	project := p.project("repo")
	p.add(project.ID, "a.customer.test")
	_, err := p.AddDomain(t.Context(), p.me, project.ID, controlplane.DomainInput{Host: "b.customer.test", RedirectOther: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.AddDomain(t.Context(), p.me, project.ID, controlplane.DomainInput{Host: "c.customer.test"})
	wantCode(t, err, controlplane.CodeInvalid)
	for name, who := range map[controlplane.Code]controlplane.Principal{
		controlplane.CodeNotFound:  {UserID: "other", Scope: controlplane.ScopeAdmin, Admin: true},
		controlplane.CodeForbidden: {UserID: "me", Scope: controlplane.ScopeRead},
	} {
		_, err := p.AddDomain(t.Context(), who, project.ID, controlplane.DomainInput{Host: "d.customer.test"})
		wantCode(t, err, name)
		_, err = p.VerifyDomain(t.Context(), who, project.ID, "a.customer.test")
		wantCode(t, err, name)
		wantCode(t, p.RemoveDomain(t.Context(), who, project.ID, "a.customer.test"), name)
	}
}

func TestTwoControlPlanesShareTheLooks(t *testing.T) {
	p := newDomainPlane(t, func(p *plane) { p.config.Exclusive = false })
	project := p.project("repo")
	p.add(project.ID, customer)
	p.clock.Advance(time.Minute)
	held := false
	err := p.store.Update(t.Context(), func(tx controlplane.Tx) (err error) {
		held, err = tx.TakeLease("domains", controlplane.LeaseRow{Holder: "another", Until: p.clock.Now()}, controlplane.LeaseRow{})
		return err
	})
	if err != nil || !held {
		t.Fatal(held, err)
	}
	before, _ := p.dns.Asked()
	p.round(5 * time.Second)
	if after, _ := p.dns.Asked(); after != before {
		t.Error("another has the lease, and DNS is asked all the same")
	}
	p.round(2 * time.Hour) // it was seen first in the round before
	between, _ := p.dns.Asked()
	if between == before {
		t.Error("DNS is not asked once the lease is over")
	}
	p.round(0)
	if after, _ := p.dns.Asked(); after != between {
		t.Error("a domain is looked at again at once")
	}
}
