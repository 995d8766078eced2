package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
)

func TestTheSetupCodeMakesTheFirstAccountOnce(t *testing.T) {
	p := newPlane(t)
	var setup api.Setup
	p.anonymous().do("GET", "/auth/setup", nil).is(http.StatusOK).into(&setup)
	if !setup.NeedsSetup || setup.Signup != "invite" {
		t.Fatalf("%+v", setup)
	}
	try := func(email, code string) *response {
		return p.anonymous().do("POST", "/auth/signup", map[string]string{"email": email, "password": password, "code": code})
	}
	try("a@example.com", "").is(http.StatusUnprocessableEntity).field("code")
	try("a@example.com", "WRONG").is(http.StatusUnprocessableEntity).field("code")
	owner := p.owner()
	var me api.Me
	owner.do("GET", "/auth/me", nil).is(http.StatusOK).into(&me)
	if !me.User.Admin || me.NeedsSetup || me.User.Email != "owner@example.com" || me.Scope != controlplane.ScopeAdmin || me.Version != "1.2.3" {
		t.Fatalf("%+v", me)
	}
	try("b@example.com", p.setup).is(http.StatusUnprocessableEntity).field("code")
	if code, err := p.accounts.Open(t.Context()); code != "" || err != nil {
		t.Fatalf("a setup code after the setup: %q, %v", code, err)
	}
}

func TestOfManyWhoUseACodeAtOnceOneGetsIn(t *testing.T) {
	p := newPlane(t)
	atOnce := func(code string) {
		t.Helper()
		var mu sync.Mutex
		var done sync.WaitGroup
		got := map[int]int{}
		for i := range 6 {
			done.Go(func() {
				r := p.anonymous().do("POST", "/auth/signup", map[string]string{"email": fmt.Sprintf("%d-%s@example.com", i, code), "password": password, "code": code})
				mu.Lock()
				defer mu.Unlock()
				got[r.StatusCode]++
			})
		}
		done.Wait()
		if got[http.StatusCreated] != 1 || got[http.StatusUnprocessableEntity] != 5 {
			t.Errorf("%v", got)
		}
	}
	atOnce(p.setup)
	token, err := p.accounts.LocalToken(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var invitation api.Invitation
	p.bearer(token).do("POST", "/invitations", nil).is(http.StatusCreated).into(&invitation)
	atOnce(invitation.Code)
}

func TestEachStartPrintsANewSetupCode(t *testing.T) {
	p := newPlane(t)
	second, err := p.accounts.Open(t.Context())
	if err != nil || second == "" || second == p.setup {
		t.Fatalf("%q, %v", second, err)
	}
	p.anonymous().do("POST", "/auth/signup", map[string]string{"email": "a@example.com", "password": password, "code": p.setup}).
		is(http.StatusUnprocessableEntity).field("code")
	p.signUp("a@example.com", second)
}

func TestTheFirstAccountTakesOverWhatUpDeployed(t *testing.T) {
	p := newPlane(t)
	token, err := p.accounts.LocalToken(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	project := p.bearer(token).project("before")
	owner := p.owner()
	owner.do("GET", "/projects/"+project.ID, nil).is(http.StatusOK)
	p.bearer(token).do("GET", "/projects/"+project.ID, nil).is(http.StatusOK)
	again, err := p.accounts.LocalToken(t.Context(), token)
	if err != nil || again != token {
		t.Fatalf("the CLI's token was replaced: %v", err)
	}
	other, err := p.accounts.LocalToken(t.Context(), "mv_lost")
	if err != nil || other == token {
		t.Fatalf("a lost token was not replaced: %v", err)
	}
	p.bearer(token).do("GET", "/projects", nil).is(http.StatusUnauthorized)
	var tokens api.Page[controlplane.APIToken]
	if owner.do("GET", "/tokens", nil).is(http.StatusOK).into(&tokens); len(tokens.Items) != 0 {
		t.Fatalf("up's own token is listed: %+v", tokens)
	}
}

func TestAnInvitationIsGoodOnce(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	var invitation api.Invitation
	owner.do("POST", "/invitations", nil).is(http.StatusCreated).into(&invitation)
	if want := publicURL + "/dashboard/signup#code=" + invitation.Code; invitation.URL != want {
		t.Fatalf("%s instead of %s", invitation.URL, want)
	}
	taken := map[string]string{"email": "owner@example.com", "password": password, "code": invitation.Code}
	p.anonymous().do("POST", "/auth/signup", taken).is(http.StatusConflict) // uses nothing up
	second := p.signUp("second@example.com", invitation.Code)
	var me api.Me
	if second.do("GET", "/auth/me", nil).into(&me); me.User.Admin {
		t.Fatal("an invited person is an administrator")
	}
	second.do("POST", "/invitations", nil).is(http.StatusForbidden)
	p.anonymous().do("POST", "/auth/signup", map[string]string{"email": "third@example.com", "password": password, "code": invitation.Code}).
		is(http.StatusUnprocessableEntity).field("code")

	owner.do("POST", "/invitations", map[string]string{}).is(http.StatusCreated).into(&invitation)
	p.clock.Advance(8 * 24 * time.Hour)
	p.anonymous().do("POST", "/auth/signup", map[string]string{"email": "third@example.com", "password": password, "code": invitation.Code}).
		is(http.StatusUnprocessableEntity).field("code")
}

func TestOpenSignUpNeedsNoInvitationAfterTheFirst(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.accountConfig.OpenSignup = true })
	p.anonymous().do("POST", "/auth/signup", map[string]string{"email": "a@example.com", "password": password}).is(http.StatusUnprocessableEntity)
	p.owner()
	p.signUp("second@example.com", "")
}

func TestSignInAndOut(t *testing.T) {
	p := newPlane(t)
	p.owner()
	c := p.anonymous()
	c.do("POST", "/auth/login", map[string]string{"email": "owner@example.com", "password": "wrong password"}).is(http.StatusUnauthorized)
	c.do("POST", "/auth/login", map[string]string{"email": "nobody@example.com", "password": password}).is(http.StatusUnauthorized)
	r := c.do("POST", "/auth/login", map[string]string{"email": " Owner@Example.com ", "password": password}).is(http.StatusOK)
	set := r.Header.Get("Set-Cookie")
	for _, part := range []string{"mv_session=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"} {
		if !strings.Contains(set, part) {
			t.Errorf("no %s in %q", part, set)
		}
	}
	c.cookie = r.cookie()
	c.do("GET", "/auth/me", nil).is(http.StatusOK)
	out := c.do("POST", "/auth/logout", nil).is(http.StatusNoContent)
	if !strings.Contains(out.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("the cookie stays: %q", out.Header.Get("Set-Cookie"))
	}
	c.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	p.anonymous().do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	p.anonymous().do("POST", "/auth/logout", nil).is(http.StatusNoContent)
}

func TestASessionLastsThirtyDaysAfterItsLastUse(t *testing.T) {
	p := newPlane(t)
	c := p.owner()
	for range 3 {
		p.clock.Advance(29 * 24 * time.Hour)
		r := c.do("GET", "/auth/me", nil).is(http.StatusOK)
		if r.cookie().Value != c.cookie.Value {
			t.Fatal("another session")
		}
	}
	if got := c.do("GET", "/auth/me", nil).is(http.StatusOK).Header.Get("Set-Cookie"); got != "" {
		t.Fatalf("a session is renewed at every use: %q", got)
	}
	p.clock.Advance(31 * 24 * time.Hour)
	c.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
}

func TestOnHTTPSTheCookieIsBoundToTheHost(t *testing.T) {
	p := newPlane(t, func(p *plane) {
		p.options.PublicURL.Scheme = "https"
	})
	c := p.anonymous()
	c.origin = "https://deploy.example.com"
	r := c.do("POST", "/auth/signup", map[string]string{"email": "a@example.com", "password": password, "code": p.setup}).is(http.StatusCreated)
	if set := r.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-mv_session=") || !strings.Contains(set, "; Secure") {
		t.Fatalf("%q", set)
	}
	if r.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
}

func TestResetPasswordEndsSessions(t *testing.T) {
	p := newPlane(t)
	c := p.owner()
	if err := p.accounts.ResetPassword(t.Context(), "nobody@example.com", "another password"); controlplane.CodeOf(err) != controlplane.CodeNotFound {
		t.Fatalf("%v", err)
	}
	if err := p.accounts.ResetPassword(t.Context(), "owner@example.com", "short"); controlplane.CodeOf(err) != controlplane.CodeInvalid {
		t.Fatalf("%v", err)
	}
	if err := p.accounts.ResetPassword(t.Context(), "OWNER@example.com", "another password"); err != nil {
		t.Fatal(err)
	}
	c.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	p.anonymous().do("POST", "/auth/login", map[string]string{"email": "owner@example.com", "password": password}).is(http.StatusUnauthorized)
	p.anonymous().do("POST", "/auth/login", map[string]string{"email": "owner@example.com", "password": "another password"}).is(http.StatusOK)
}

func TestSignUpNamesEveryField(t *testing.T) {
	p := newPlane(t)
	r := p.anonymous().do("POST", "/auth/signup", map[string]string{"email": "no address", "password": "short", "name": "a\x00b", "code": p.setup}).
		is(http.StatusUnprocessableEntity)
	for _, field := range []string{"email", "password", "name"} {
		r.field(field)
	}
	p.owner() // the code was not used up
}

func TestTokens(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	var made api.NewToken
	owner.do("POST", "/tokens", map[string]string{"name": "ci", "scope": "deploy"}).is(http.StatusCreated).into(&made)
	if !strings.HasPrefix(made.Token, "mv_") || made.LastUsedAt != nil {
		t.Fatalf("%+v", made)
	}
	ci := p.bearer(made.Token)
	ci.do("GET", "/projects", nil).is(http.StatusOK)
	ci.do("POST", "/tokens", map[string]string{"name": "more", "scope": "admin"}).is(http.StatusForbidden)
	list := owner.do("GET", "/tokens", nil).is(http.StatusOK)
	var tokens api.Page[controlplane.APIToken]
	if list.into(&tokens); len(tokens.Items) != 1 || tokens.Items[0].LastUsedAt == nil || tokens.Items[0].Scope != controlplane.ScopeDeploy {
		t.Fatalf("%s", list.body)
	}
	if strings.Contains(string(list.body), made.Token) || strings.Contains(p.log.String(), made.Token) {
		t.Fatal("the secret is shown again")
	}
	second := p.second(owner)
	second.do("DELETE", "/tokens/"+made.ID, nil).is(http.StatusNotFound)
	owner.do("DELETE", "/tokens/"+made.ID, nil).is(http.StatusNoContent)
	owner.do("DELETE", "/tokens/"+made.ID, nil).is(http.StatusNotFound)
	ci.do("GET", "/projects", nil).is(http.StatusUnauthorized)
	owner.do("POST", "/tokens", map[string]string{"name": "x", "scope": "root"}).is(http.StatusUnprocessableEntity).field("scope")
	owner.do("POST", "/tokens", map[string]string{}).is(http.StatusUnprocessableEntity).field("name")
}
