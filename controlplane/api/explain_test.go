package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func TestExplain(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("explained")
	ready := owner.deployFolder(project.ID, "<h1>explained</h1>")
	call := func(address string, more ...string) string {
		q := url.Values{"url": {address}}
		for i := 0; i < len(more); i += 2 {
			q.Set(more[i], more[i+1])
		}
		return "/explain?" + q.Encode()
	}
	var e controlplane.Explanation
	r := owner.do("GET", call(ready.DeploymentURL+"/index.html", "acceptEncoding", "identity"), nil).is(http.StatusOK).into(&e)
	if e.Status != 307 || e.Location != "/" || e.ProjectID != project.ID || e.Deployment != ready.ID || strings.Contains(string(r.body), "null") {
		t.Errorf("%s", r.body)
	}
	owner.withScope("read").do("GET", call(ready.DeploymentURL, "method", "HEAD"), nil).is(http.StatusOK)

	owner.do("GET", "/explain", nil).is(http.StatusUnprocessableEntity).field("url")
	owner.do("GET", call("ftp://x"), nil).is(http.StatusUnprocessableEntity).field("url")
	owner.do("GET", call(ready.DeploymentURL, "method", "BREW"), nil).is(http.StatusUnprocessableEntity).field("method")

	// Another's host is as one that nobody has.
	other := p.second(owner)
	host := strings.TrimPrefix(ready.DeploymentURL, "http://")
	theirs := other.do("GET", call(ready.DeploymentURL), nil).is(http.StatusNotFound).problem()
	none := other.do("GET", call("http://none.example.test"), nil).is(http.StatusNotFound).problem()
	if strings.ReplaceAll(theirs.Detail, host, "HOST") != strings.ReplaceAll(none.Detail, "none.example.test", "HOST") {
		t.Errorf("%q, but %q", theirs.Detail, none.Detail)
	}
}
