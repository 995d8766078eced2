package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
)

func TestADomainIsAddedVerifiedAndRemoved(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("site")
	path := "/projects/" + project.ID + "/domains"
	if r := owner.do("GET", path, nil).is(http.StatusOK); !strings.Contains(string(r.body), `"items":[]`) {
		t.Errorf("%s", r.body)
	}
	owner.do("POST", path, map[string]any{"host": "https://example.com/"}).is(http.StatusUnprocessableEntity).field("host")
	owner.do("POST", path, map[string]any{"host": "*.example.com"}).is(http.StatusUnprocessableEntity).field("host")
	owner.do("POST", path, map[string]any{"host": "www.co.uk", "redirectOther": true}).is(http.StatusUnprocessableEntity).field("redirectOther")
	owner.do("POST", path, map[string]any{}).is(http.StatusUnprocessableEntity).field("host")
	var d controlplane.Domain
	r := owner.do("POST", path, map[string]any{"host": "www.bücher.test"}).is(http.StatusCreated)
	if r.into(&d); d.Host != "www.xn--bcher-kva.test" || d.Unicode != "www.bücher.test" || d.State != controlplane.DomainPending || strings.Contains(string(r.body), "null") {
		t.Fatalf("%s", r.body)
	}
	for _, record := range d.Records {
		value := record.Value
		if record.Type == "TXT" {
			value = fmt.Sprintf("%q", value)
		}
		p.dns.Set(t, record.Name, record.Type, value)
	}
	p.clock.Advance(checkedAgain)
	// To look is enough.
	owner.do("GET", path+"/"+d.Host, nil).is(http.StatusOK).into(&d)
	if d.State != controlplane.DomainActive || d.Certificate == nil || d.Certificate.State != controlplane.CertificateOff {
		t.Fatalf("%+v", d)
	}
	owner.do("POST", path+"/"+d.Host+"/verify", nil).is(http.StatusOK)
	var listed struct{ Items []*controlplane.Domain }
	owner.do("GET", path, nil).is(http.StatusOK).into(&listed)
	if len(listed.Items) != 1 || listed.Items[0].State != controlplane.DomainActive || !listed.Items[0].Primary {
		t.Errorf("%+v", listed.Items)
	}
	var again controlplane.Project
	if owner.do("GET", "/projects/"+project.ID, nil).into(&again); again.CustomDomain != d.Host || again.URL != "http://"+d.Host {
		t.Errorf("%+v", again)
	}
	second := p.second(owner)
	theirs := second.project("theirs")
	second.do("POST", "/projects/"+theirs.ID+"/domains", map[string]any{"host": d.Host}).is(http.StatusConflict)
	owner.do("DELETE", path+"/"+d.Host, nil).is(http.StatusNoContent)
	owner.do("DELETE", path+"/"+d.Host, nil).is(http.StatusNotFound)
	owner.do("GET", path+"/"+d.Host, nil).is(http.StatusNotFound)
}

// checkedAgain is after the time in which a look is as good as a new one.
const checkedAgain = 3 * time.Second

func TestDomainsAreSensitive(t *testing.T) {
	p := newPlane(t, rates(api.Rates{General: 100, Sensitive: 2, SignIn: 10, Deploy: 10, Logs: 10}))
	owner := p.owner()
	project := owner.project("site")
	path := "/projects/" + project.ID + "/domains"
	owner.do("POST", path, map[string]any{"host": "a.customer.test"}).is(http.StatusCreated)
	owner.do("POST", path+"/a.customer.test/verify", nil).is(http.StatusOK)
	for method, of := range map[string]string{"POST": path, "DELETE": path + "/a.customer.test"} {
		owner.do(method, of, map[string]any{"host": "b.customer.test"}).is(http.StatusTooManyRequests)
	}
	owner.do("POST", path+"/a.customer.test/verify", nil).is(http.StatusTooManyRequests)
	owner.do("GET", path+"/a.customer.test", nil).is(http.StatusOK)
}
