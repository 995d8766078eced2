package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestAccessIsSetSharedAndRemoved(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("guarded")
	ready := owner.deployFolder(project.ID, "<h1>guarded</h1>")
	path := "/projects/" + project.ID
	host := strings.TrimPrefix(ready.DeploymentURL, "http://")
	const word = "a long enough password"
	link := map[string]any{"host": host, "expiresIn": 3600}

	owner.do("PUT", path+"/access", map[string]any{"scope": "all"}).is(http.StatusUnprocessableEntity).field("password")
	owner.do("PUT", path+"/access", map[string]any{"scope": "some", "password": word}).is(http.StatusUnprocessableEntity).field("scope")
	owner.do("POST", path+"/share-links", link).is(http.StatusConflict)
	r := owner.do("PUT", path+"/access", map[string]any{"scope": "previews", "password": word}).is(http.StatusOK)
	var changed controlplane.Project
	if r.into(&changed); changed.Access == nil || changed.Access.Scope != site.AccessPreviews {
		t.Fatalf("%s", r.body)
	}
	short := owner.do("PUT", path+"/access", map[string]any{"scope": "all", "password": "sevench"}).is(http.StatusUnprocessableEntity)
	short.field("password")
	shown := owner.do("GET", path, nil).is(http.StatusOK)
	list := owner.do("GET", "/projects", nil).is(http.StatusOK)
	for _, answer := range []*response{r, short, shown, list} {
		if b := answer.body; bytes.Contains(b, []byte(word)) || bytes.Contains(b, []byte("sevench")) || bytes.Contains(b, []byte("argon2id")) || bytes.Contains(b, []byte("ookieKey")) {
			t.Errorf("a secret is shown: %s", b)
		}
	}
	if log := p.log.String(); strings.Contains(log, word) || strings.Contains(log, "sevench") {
		t.Error("the log has the password")
	}

	var made controlplane.ShareLink
	owner.do("POST", path+"/share-links", link).is(http.StatusCreated).into(&made)
	if !strings.HasPrefix(made.URL, ready.DeploymentURL+"/?"+site.ShareParameter+"=") || made.Host == "" || made.ExpiresAt.IsZero() {
		t.Errorf("%+v", made)
	}
	for _, expires := range []any{59, 30*24*3600 + 1, 1.5, "1h", nil} {
		owner.do("POST", path+"/share-links", map[string]any{"host": host, "expiresIn": expires}).is(http.StatusUnprocessableEntity).field("expiresIn")
	}
	for _, expires := range []int{60, 30 * 24 * 3600} {
		owner.do("POST", path+"/share-links", map[string]any{"host": host, "expiresIn": expires}).is(http.StatusCreated)
	}
	// Who may deploy may show what was deployed, and no more.
	deployer := owner.withScope("deploy")
	deployer.do("POST", path+"/share-links", link).is(http.StatusCreated)
	deployer.do("DELETE", path+"/access", nil).is(http.StatusForbidden)

	owner.do("DELETE", path+"/access", nil).is(http.StatusNoContent)
	open := owner.do("GET", path, nil).is(http.StatusOK)
	if bytes.Contains(open.body, []byte(`"access"`)) {
		t.Errorf("%s", open.body)
	}
	owner.do("POST", path+"/share-links", link).is(http.StatusConflict)
}

func TestAccessCountsAsSensitive(t *testing.T) {
	p := newPlane(t)
	want := map[string]bool{"setAccess": false, "removeAccess": false, "createShareLink": false, "suspendProject": false, "unsuspendProject": false}
	for _, o := range p.operations() {
		if _, ok := want[o.ID]; ok {
			want[o.ID] = o.Rate == "sensitive"
		}
	}
	for id, sensitive := range want {
		if !sensitive {
			t.Errorf("%s is not among the sensitive operations", id)
		}
	}
}
