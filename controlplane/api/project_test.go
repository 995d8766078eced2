package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestAProjectIsMadeChangedSuspendedAndDeleted(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	r := owner.do("POST", "/projects", map[string]any{
		"name": "My Blog", "gitURL": "https://git.example.com/o/r", "productionBranch": "main", "buildCommand": "make", "htmlHandling": "",
		"credentials": map[string]string{"username": "me", "password": "git-secret"},
	}).is(http.StatusCreated)
	var project controlplane.Project
	r.into(&project)
	if project.SubDomain != "my-blog" || project.BuildCommand != "make" || !project.HasCredentials {
		t.Fatalf("%s", r.body)
	}
	if bytes.Contains(r.body, []byte("git-secret")) || strings.Contains(p.log.String(), "git-secret") {
		t.Error("the credentials are shown")
	}
	path := "/projects/" + project.ID
	r = owner.do("PATCH", path, map[string]any{"buildCommand": "", "notFound": "none", "credentials": map[string]string{"password": ""}}).is(http.StatusOK)
	var changed controlplane.Project
	if r.into(&changed); changed.BuildCommand != "" || changed.NotFound != site.NotFoundNone || changed.HasCredentials || changed.Name != "My Blog" {
		t.Errorf("%s", r.body)
	}
	owner.do("PATCH", path, map[string]any{"id": "x"}).is(http.StatusUnprocessableEntity).field("id")
	owner.do("POST", path+"/suspend", nil).is(http.StatusOK).into(&changed)
	if changed.State != site.ProjectSuspended {
		t.Errorf("%+v", changed)
	}
	owner.do("POST", "/deploy", map[string]string{"projectId": project.ID}).is(http.StatusConflict)
	owner.do("POST", path+"/unsuspend", nil).is(http.StatusOK).into(&changed)
	if changed.State != site.ProjectActive {
		t.Errorf("%+v", changed)
	}
	owner.do("DELETE", path, nil).is(http.StatusNoContent)
	owner.do("GET", path, nil).is(http.StatusNotFound)
}

func TestDetectWaitsForTheBuilder(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := <-p.runner.started
		var job site.Job
		p.anonymous().do("POST", "/attempts/claim", site.ClaimRequest{Token: b.Claim}).is(http.StatusOK).into(&job)
		builder := p.bearer(job.Token)
		builder.do("POST", "/projects/"+job.Deployment+"/blobs/known", `{"hashes": []}`).is(http.StatusNotFound)
		builder.report(&job, 1, site.Event{Type: site.EventDetected, Detected: &site.Detection{Framework: "vite", FrameworkName: "Vite", OutputDirectory: "dist"}})
	}()
	var detection site.Detection
	owner.do("POST", "/detect", map[string]string{"gitURL": "https://git.example.com/o/r", "branch": ""}).is(http.StatusOK).into(&detection)
	if <-done; detection.Framework != "vite" {
		t.Errorf("%+v", detection)
	}
	owner.do("POST", "/detect", map[string]string{"gitURL": "ext::sh -c evil"}).is(http.StatusUnprocessableEntity).field("gitURL")
}

func TestEnvironmentVariables(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("env")
	path := "/projects/" + project.ID + "/env"
	put := func(key string, body map[string]any) *response { return owner.do("PUT", path+"/"+key, body) }

	var plain controlplane.EnvVar
	put("PLAIN", map[string]any{"value": "shown", "environments": []string{"preview"}}).is(http.StatusOK).into(&plain)
	if plain.Value == nil || *plain.Value != "shown" || len(plain.Environments) != 1 {
		t.Errorf("%+v", plain)
	}
	r := put("SECRET", map[string]any{"value": "hidden-value", "secret": true}).is(http.StatusOK)
	list := owner.do("GET", path, nil).is(http.StatusOK)
	one := owner.do("GET", path+"/SECRET", nil).is(http.StatusOK)
	for _, answer := range []*response{r, list, one} {
		if bytes.Contains(answer.body, []byte("hidden-value")) {
			t.Errorf("the secret is shown: %s", answer.body)
		}
	}
	// Write-only: no way of setting it shows it again.
	put("SECRET", map[string]any{"secret": false}).is(http.StatusUnprocessableEntity).field("value")
	put("SECRET", map[string]any{"secret": true, "environments": []string{"production"}}).is(http.StatusOK)
	put("NEW", map[string]any{"secret": true}).is(http.StatusUnprocessableEntity).field("value")

	_, _, job := owner.build(project.ID) // of the production branch
	if len(job.Env) == 0 || job.Env[0] != (site.EnvVar{Name: "SECRET", Value: "hidden-value", Secret: true}) {
		t.Errorf("the build gets %+v", job.Env)
	}
	put("SECRET", map[string]any{"value": "shown now", "secret": false}).is(http.StatusOK)

	var replaced api.Page[controlplane.EnvVar]
	owner.do("PUT", path, map[string]any{"items": []map[string]any{{"key": "PLAIN"}, {"key": "OTHER", "value": "2"}}}).is(http.StatusOK).into(&replaced)
	if len(replaced.Items) != 2 || replaced.Items[0].Key != "OTHER" || *replaced.Items[1].Value != "shown" {
		t.Errorf("%+v", replaced)
	}
	owner.do("PUT", path, map[string]any{"items": []map[string]any{{"key": "A", "value": "1"}, {"key": "A", "value": "2"}, {"key": "0", "value": "2"}}}).
		is(http.StatusUnprocessableEntity).field("items[1].key")
	owner.do("DELETE", path+"/OTHER", nil).is(http.StatusNoContent)
	owner.do("DELETE", path+"/OTHER", nil).is(http.StatusNotFound)
	owner.do("GET", path+"/OTHER", nil).is(http.StatusNotFound)
}

func TestLimitsOfEnvironmentVariables(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	path := "/projects/" + owner.project("limits").ID + "/env"
	for _, row := range []struct {
		name, key, value, field string
	}{
		{"the longest value", "A", strings.Repeat("v", controlplane.MaxEnvValueBytes), ""},
		{"a longer value", "A", strings.Repeat("v", controlplane.MaxEnvValueBytes+1), "value"},
		{"the longest key", strings.Repeat("K", controlplane.MaxEnvKeyBytes), "v", ""},
		{"a longer key", strings.Repeat("K", controlplane.MaxEnvKeyBytes+1), "v", "key"},
		{"a digit in front", "1A", "v", "key"},
		{"a hyphen", "A-B", "v", "key"},
		{"an equals sign", "A=B", "v", "key"},
		{"the platform's name", "MINI_VERCEL_URL", "v", "key"},
		{"a NUL", "A", "a\x00b", "value"},
		{"no text at all", "EMPTY", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := owner.do("PUT", path+"/"+row.key, map[string]any{"value": row.value})
			if row.field == "" {
				r.is(http.StatusOK)
				return
			}
			r.is(http.StatusUnprocessableEntity).field(row.field)
		})
	}
	full := strings.Repeat("v", controlplane.MaxEnvValueBytes)
	for i, want := range []int{200, 200, 422} { // with A, four would be over the sum
		owner.do("PUT", path+"/"+strings.Repeat("X", i+1), map[string]any{"value": full}).is(want)
	}
	many := func(n int) map[string]any {
		var items []map[string]any
		for i := range n {
			items = append(items, map[string]any{"key": "K" + strings.Repeat("X", i%100) + strings.Repeat("Y", i/100), "value": "1"})
		}
		return map[string]any{"items": items}
	}
	owner.do("PUT", path, many(controlplane.MaxEnvVars)).is(http.StatusOK)
	owner.do("PUT", path+"/ONE_MORE", map[string]any{"value": "1"}).is(http.StatusUnprocessableEntity)
	owner.do("PUT", path, many(controlplane.MaxEnvVars+1)).is(http.StatusUnprocessableEntity).field("items")
}
