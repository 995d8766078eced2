package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// operation is one of the OpenAPI document's.
type operation struct {
	Method, Path string
	ID           string                `json:"operationId"`
	Security     []map[string][]string `json:"security"`
	Scope        string                `json:"x-scope"`
	Rate         string                `json:"x-rate-limit"`
	RequestBody  *struct {
		Content map[string]struct{ Schema map[string]any } `json:"content"`
	} `json:"requestBody"`
}

func (o operation) allows(scheme string) bool {
	return slices.ContainsFunc(o.Security, func(s map[string][]string) bool { _, ok := s[scheme]; return ok })
}

// operations reads the document that the server serves.
func (p *plane) operations() []operation {
	p.t.Helper()
	var document struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage
	}
	p.anonymous().do("GET", "/openapi.json", nil).is(http.StatusOK).into(&document)
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		p.t.Fatalf("OpenAPI %s", document.OpenAPI)
	}
	var out []operation
	for path, item := range document.Paths {
		for method, raw := range item {
			o := operation{}
			if err := json.Unmarshal(raw, &o); err != nil {
				p.t.Fatalf("%s %s: %v", method, path, err)
			}
			o.Method, o.Path = strings.ToUpper(method), path
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	if len(out) < 50 {
		p.t.Fatalf("only %d operations", len(out))
	}
	return out
}

const walkedDomain = "www.customer.test"

// target is what the operations are called on.
type target struct{ project, deployment, attempt, token string }

func (o operation) path(t target) string {
	id := t.deployment
	switch {
	case strings.HasPrefix(o.Path, "/projects"):
		id = t.project
	case strings.HasPrefix(o.Path, "/attempts"):
		id = t.attempt
	case strings.HasPrefix(o.Path, "/tokens"):
		id = t.token
	}
	return strings.NewReplacer("{id}", id, "{projectId}", t.project, "{deployment}", t.deployment, "{key}", "NAME", "{host}", walkedDomain).Replace(o.Path)
}

// body is a body that passes validation.
func (o operation) body(t target) any {
	switch o.ID {
	case "createProject":
		return map[string]any{"name": "another"}
	case "updateProject":
		return map[string]any{"name": "renamed"}
	case "detect":
		return map[string]any{"gitURL": "ftp://nowhere"}
	case "addDomain":
		return map[string]any{"host": "other.customer.test"}
	case "putEnvVar":
		return map[string]any{"value": "1"}
	case "setAccess":
		return map[string]any{"scope": "previews", "password": password}
	case "createShareLink":
		return map[string]any{"host": "walked.example.test", "expiresIn": 3600}
	case "replaceEnvVars":
		return map[string]any{"items": []any{}}
	case "deploy":
		return map[string]any{"projectId": t.project}
	case "createDeployment":
		return map[string]any{"projectId": t.project, "kind": "files"}
	case "knownBlobs":
		return map[string]any{"hashes": []any{}}
	case "putManifest":
		return []byte("manifest")
	case "createToken":
		return map[string]any{"name": "x", "scope": "read"}
	case "claimAttempt":
		return site.ClaimRequest{Token: "mvc_wrong"}
	case "reportEvents":
		return []site.Event{}
	case "signUp":
		return map[string]any{"email": "new@example.com", "password": password}
	case "beginSession":
		return map[string]any{"token": "eyJ"}
	case "signIn":
		return map[string]any{"email": "new@example.com", "password": password}
	}
	return nil
}

// destructive operations come last in a walk: they change what others look at.
func (o operation) destructive() bool {
	return o.Method == "DELETE" || o.ID == "signOut" || o.ID == "cancelDeployment" || o.ID == "suspendProject"
}

func (p *plane) walk(visit func(operation)) {
	all := p.operations()
	for _, last := range []bool{false, true} {
		for _, o := range all {
			if o.destructive() == last {
				visit(o)
			}
		}
	}
}

// ownedOnly are the operations that name a project, a deployment or a token.
func (o operation) onTarget() bool {
	return strings.Contains(o.Path, "{") || o.ID == "deploy" || o.ID == "createDeployment"
}

func newTarget(t *testing.T, owner *client) (target, *client, *site.Job) {
	t.Helper()
	project := owner.project("walked")
	ready := owner.deployFolder(project.ID, "<h1>walked</h1>")
	owner.do("PUT", "/projects/"+project.ID+"/env/NAME", map[string]any{"value": "1"}).is(http.StatusOK)
	owner.do("POST", "/projects/"+project.ID+"/domains", map[string]any{"host": walkedDomain}).is(http.StatusCreated)
	var token api.NewToken
	owner.do("POST", "/tokens", map[string]string{"name": "x", "scope": "read"}).is(http.StatusCreated).into(&token)
	_, builder, job := owner.build(project.ID)
	return target{project.ID, ready.ID, job.AttemptID, token.ID}, builder, job
}

func TestNobodySeesAnothersResource(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	second := p.second(owner)
	// An administrator is no exception, but for taking sites down.
	t.Run("a person", func(t *testing.T) { p.seesNothing(t, owner, second) })
	t.Run("an administrator", func(t *testing.T) { p.seesNothing(t, second, owner) })
	project := owner.project("kept")
	second.do("POST", "/projects/"+project.ID+"/suspend", nil).is(http.StatusForbidden)
}

// seesNothing calls every operation on what is another's: it answers as for
// what is missing.
func (p *plane) seesNothing(t *testing.T, owner, other *client) {
	target, _, _ := newTarget(t, owner)
	missing := target
	missing.project, missing.deployment, missing.token = "6d1f0e5a-0000-4000-8000-000000000000", "6d1f0e5a-0000-4000-8000-000000000001", "6d1f0e5a-0000-4000-8000-000000000002"
	missing.attempt = missing.deployment + ".1"
	visited := 0
	p.walk(func(o operation) {
		if !o.onTarget() || !o.allows("session") || o.ID == "suspendProject" || o.ID == "unsuspendProject" {
			return
		}
		visited++
		theirs := other.do(o.Method, o.path(target), o.body(target))
		none := other.do(o.Method, o.path(missing), o.body(missing))
		if theirs.StatusCode != http.StatusNotFound || none.StatusCode != http.StatusNotFound {
			t.Errorf("%s: another's is %d, a missing one %d: %s", o.ID, theirs.StatusCode, none.StatusCode, theirs.body)
			return
		}
		hide := strings.NewReplacer(target.project, "ID", target.deployment, "ID", target.token, "ID", missing.project, "ID", missing.deployment, "ID", missing.token, "ID")
		if a, b := hide.Replace(string(theirs.body)), hide.Replace(string(none.body)); a != b {
			t.Errorf("%s tells another's from a missing one:\n%s%s", o.ID, a, b)
		}
	})
	if visited < 27 {
		t.Errorf("only %d operations visited", visited)
	}
	// Nothing of it happened, and no list has it.
	owner.do("GET", "/projects/"+target.project, nil).is(http.StatusOK)
	owner.do("GET", "/deployments/"+target.deployment, nil).is(http.StatusOK)
	for _, path := range []string{"/deployments", "/projects", "/tokens"} {
		if r := other.do("GET", path, nil).is(http.StatusOK); strings.Contains(string(r.body), target.project) || strings.Contains(string(r.body), target.token) {
			t.Errorf("%s: %s", path, r.body)
		}
	}
}

func TestNobodyIsLetInWithoutASignIn(t *testing.T) {
	p := newPlane(t)
	target, _, _ := newTarget(t, p.owner())
	public := map[string]bool{"getHealth": true, "getReady": true, "getSetup": true, "signUp": true, "signIn": true, "beginSession": true, "signOut": true, "claimAttempt": true}
	p.walk(func(o operation) {
		if len(o.Security) == 0 {
			if !public[o.ID] {
				t.Errorf("%s is public", o.ID)
			}
			return
		}
		for name, c := range map[string]*client{
			"nobody": p.anonymous(), "a wrong token": p.bearer("mv_wrong"), "an empty token": p.bearer(" "),
			"a wrong attempt": p.bearer("mva_" + target.attempt + "_00"), "a wrong session": {p: p, origin: publicURL, cookie: &http.Cookie{Name: "mv_session", Value: "wrong"}},
		} {
			if r := c.do(o.Method, o.path(target), o.body(target)); r.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s for %s: %d %s", o.ID, name, r.StatusCode, r.body)
			}
		}
	})
}

func TestTokensDoNoMoreThanTheirScope(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	target, _, _ := newTarget(t, owner)
	order := []string{"read", "deploy", "admin"}
	tokens := map[string]*client{}
	for _, scope := range order {
		tokens[scope] = owner.withScope(scope)
	}
	p.walk(func(o operation) {
		if !o.allows("token") {
			return
		}
		needed := slices.Index(order, o.Scope)
		if needed < 0 {
			t.Errorf("%s has no scope", o.ID)
			return
		}
		if needed == 0 && o.Method != "GET" {
			t.Errorf("%s writes with the scope read", o.ID)
		}
		for i, scope := range order {
			if i >= needed && (strings.HasSuffix(o.Path, "/stream") || o.Path == "/events") {
				continue // they do not end; other tests follow them
			}
			r := tokens[scope].do(o.Method, o.path(target), o.body(target))
			if refused := r.StatusCode == http.StatusForbidden; refused != (i < needed) {
				t.Errorf("%s with %s: %d %s", o.ID, scope, r.StatusCode, r.body)
			}
			if r.StatusCode >= 500 {
				t.Errorf("%s with %s: %d %s", o.ID, scope, r.StatusCode, r.body)
			}
		}
	})
}

func TestAnAttemptsTokenIsGoodForItsCallsAlone(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	ours, builder, job := newTarget(t, owner)
	theirProject := owner.project("other")
	other := target{project: theirProject.ID, deployment: ours.deployment, attempt: job.Deployment + ".2", token: ours.token}
	own := ours
	own.deployment = job.Deployment
	good := map[string]int{"knownBlobs": 200, "putManifest": 422, "nextUploads": 409, "publishDeployment": 409, "reportEvents": 200}
	p.walk(func(o operation) {
		if len(o.Security) == 0 {
			return
		}
		want, allowed := good[o.ID]
		if !allowed {
			if o.allows("attempt") {
				t.Errorf("%s takes attempts' tokens", o.ID)
			}
			builder.do(o.Method, o.path(own), o.body(own)).is(http.StatusForbidden)
			return
		}
		if r := builder.do(o.Method, o.path(own), o.body(own)); r.StatusCode != want {
			t.Errorf("%s of its own: %d %s", o.ID, r.StatusCode, r.body)
		}
		builder.do(o.Method, o.path(other), o.body(other)).is(http.StatusNotFound)
	})
	// A cookie that comes with it changes nothing.
	both := &client{p: p, token: job.Token, cookie: owner.cookie, origin: publicURL}
	both.do("GET", "/projects", nil).is(http.StatusForbidden)

	owner.do("POST", "/deployments/"+job.Deployment+"/cancel", nil).is(http.StatusOK)
	p.walk(func(o operation) {
		if len(o.Security) == 0 {
			return
		}
		builder.do(o.Method, o.path(own), o.body(own)).is(http.StatusUnauthorized)
	})
}

func TestAClaimIsGoodOnce(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	owner.do("POST", "/deploy", map[string]string{"projectId": owner.project("claimed").ID}).is(http.StatusAccepted)
	claim := (<-p.runner.started).Claim
	var job site.Job
	first := p.anonymous().do("POST", "/attempts/claim", site.ClaimRequest{Token: claim}).is(http.StatusOK).into(&job)
	if job.Env == nil || strings.Contains(string(first.body), "null") {
		t.Errorf("null in %s", first.body)
	}
	p.anonymous().do("POST", "/attempts/claim", site.ClaimRequest{Token: claim}).is(http.StatusUnauthorized)
	if log := p.log.String(); strings.Contains(log, claim) || strings.Contains(log, job.Token) {
		t.Error("the log has a token")
	}
}
