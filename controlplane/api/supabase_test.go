package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/internal/supabase"
	"github.com/mini-vercel/mini-vercel/internal/supabase/supabasetest"
)

// newSupabasePlane is a control plane where people sign in by Supabase.
func newSupabasePlane(t *testing.T, options ...option) (*plane, *supabasetest.Server) {
	t.Helper()
	server := supabasetest.Start(t)
	p := newPlane(t, append([]option{func(p *plane) {
		server.Now = p.clock.Now
		p.accountConfig.Supabase = supabase.New(supabase.Config{URL: server.URL, Log: p.options.Log, Now: p.clock.Now})
		p.options.Supabase = api.SupabaseProject{URL: server.URL, AnonKey: supabasetest.AnonKey}
	}}, options...)...)
	return p, server
}

const (
	adaID = "5b3c9a0e-8f0d-4a53-9f0c-2f6d1f0f7a11"
	bobID = "6d1f0e5a-1111-4000-8000-000000000002"
)

// exchange begins a session by a token.
func (c *client) exchange(token, code string) *response {
	c.p.t.Helper()
	body := map[string]any{"token": token}
	if code != "" {
		body["code"] = code
	}
	return c.do("POST", "/auth/session", body)
}

// enter is a browser that has begun a session.
func (p *plane) enter(token, code string) *client {
	p.t.Helper()
	c := p.anonymous()
	c.cookie = c.exchange(token, code).is(http.StatusOK).cookie()
	return c
}

func TestTheFirstSupabaseUserTakesTheOwnerOver(t *testing.T) {
	p, server := newSupabasePlane(t)
	local, err := p.accounts.LocalToken(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	project := p.bearer(local).project("before")
	var setup api.Setup
	p.anonymous().do("GET", "/auth/setup", nil).is(http.StatusOK).into(&setup)
	if !setup.NeedsSetup || setup.Supabase == nil || setup.Supabase.URL != server.URL || setup.Supabase.AnonKey != supabasetest.AnonKey {
		t.Fatalf("%+v", setup)
	}
	token := server.Token(adaID, "Ada@Example.com")
	if detail := p.anonymous().exchange(token, "").is(http.StatusForbidden).problem().Detail; !strings.Contains(detail, "setup link") {
		t.Error(detail)
	}
	p.bearer(token).do("GET", "/projects", nil).is(http.StatusForbidden)
	p.anonymous().exchange(token, "WRONG").is(http.StatusUnprocessableEntity).field("code")

	ada := p.enter(token, p.setup)
	var me api.Me
	ada.do("GET", "/auth/me", nil).is(http.StatusOK).into(&me)
	if !me.User.Admin || me.User.Email != "ada@example.com" || me.NeedsSetup || me.Scope != controlplane.ScopeAdmin {
		t.Fatalf("%+v", me)
	}
	ada.do("GET", "/projects/"+project.ID, nil).is(http.StatusOK)
	p.bearer(local).do("GET", "/projects/"+project.ID, nil).is(http.StatusOK)
	p.anonymous().exchange(server.Token(bobID, "bob@example.com"), p.setup).is(http.StatusUnprocessableEntity).field("code")
	if code, err := p.accounts.Open(t.Context()); code != "" || err != nil {
		t.Errorf("a setup code after the setup: %q %v", code, err)
	}
}

func TestASupabaseUserNeedsAnInvitation(t *testing.T) {
	p, server := newSupabasePlane(t)
	ada := p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	token := server.Token(bobID, "bob@example.com")
	detail := p.anonymous().exchange(token, "").is(http.StatusForbidden).problem().Detail
	if !strings.Contains(detail, "bob@example.com") || !strings.Contains(detail, "invitation") {
		t.Error(detail)
	}
	p.bearer(token).do("GET", "/projects", nil).is(http.StatusForbidden)
	var invitation api.Invitation
	ada.do("POST", "/invitations", nil).is(http.StatusCreated).into(&invitation)
	bob := p.enter(token, invitation.Code)
	var me api.Me
	if bob.do("GET", "/auth/me", nil).is(http.StatusOK).into(&me); me.User.Admin || me.User.Email != "bob@example.com" {
		t.Fatalf("%+v", me)
	}
	p.bearer(token).do("GET", "/projects", nil).is(http.StatusOK)
	p.enter(token, "") // known from now on
	const eve = "6d1f0e5a-2222-4000-8000-000000000003"
	p.anonymous().exchange(server.Token(eve, "eve@example.com"), invitation.Code).is(http.StatusUnprocessableEntity).field("code")

	// An account is whoever's it was, not whoever's address it has.
	ada.do("POST", "/invitations", nil).is(http.StatusCreated).into(&invitation)
	if detail := p.anonymous().exchange(server.Token(eve, "ada@example.com"), invitation.Code).is(http.StatusForbidden).problem().Detail; !strings.Contains(detail, "user link") {
		t.Error(detail)
	}
	p.enter(server.Token(eve, "eve@example.com"), invitation.Code) // it was not used up
	if detail := p.anonymous().exchange(server.Token("6d1f0e5a-3333-4000-8000-000000000004", ""), invitation.Code).is(http.StatusForbidden).problem().Detail; !strings.Contains(detail, "address") {
		t.Error(detail)
	}
}

func TestWithOpenSignUpASupabaseUserIsKnownAtFirstSight(t *testing.T) {
	p, server := newSupabasePlane(t, func(p *plane) { p.accountConfig.OpenSignup = true })
	token := server.Token(bobID, "bob@example.com")
	p.anonymous().exchange(token, "").is(http.StatusForbidden) // before the owner
	p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	bob := p.bearer(token)
	var mu sync.Mutex
	ids := map[string]bool{}
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			var me api.Me
			bob.do("GET", "/auth/me", nil).is(http.StatusOK).into(&me)
			mu.Lock()
			defer mu.Unlock()
			ids[me.User.ID] = true
		})
	}
	done.Wait()
	if len(ids) != 1 {
		t.Fatalf("%d accounts for one user", len(ids))
	}
	project := bob.project("bobs")
	again := p.enter(server.Token(bobID, "bob@example.com"), "")
	again.do("GET", "/projects/"+project.ID, nil).is(http.StatusOK)
}

func TestAnAddressThatChangesIsFollowed(t *testing.T) {
	p, server := newSupabasePlane(t, func(p *plane) { p.accountConfig.OpenSignup = true })
	p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	email := func(token string) string {
		var me api.Me
		p.bearer(token).do("GET", "/auth/me", nil).is(http.StatusOK).into(&me)
		return me.User.Email
	}
	for _, row := range []struct{ has, want string }{
		{"bob@example.com", "bob@example.com"},
		{"Robert@Example.com", "robert@example.com"},
		{"", "robert@example.com"},                // signs in by telephone now
		{"ada@example.com", "robert@example.com"}, // somebody else's here
		{"no address", "robert@example.com"},
		{"bob@example.com", "bob@example.com"},
	} {
		if got := email(server.Token(bobID, row.has)); got != row.want {
			t.Errorf("with %q it is %q, not %q", row.has, got, row.want)
		}
	}
	p.enter(server.Token(bobID, "session@example.com"), "")
	if got := email(server.Token(bobID, "session@example.com")); got != "session@example.com" {
		t.Error(got)
	}
}

func TestASessionEndsWithItsToken(t *testing.T) {
	p, server := newSupabasePlane(t)
	server.TokenTime = 10 * time.Minute
	first := p.anonymous().exchange(server.Token(adaID, "ada@example.com"), p.setup).is(http.StatusOK)
	set := first.Header.Get("Set-Cookie")
	for _, part := range []string{"mv_session=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=62"} { // 10 minutes and what clocks may differ by
		if !strings.Contains(set, part) {
			t.Errorf("no %s in %q", part, set)
		}
	}
	ada := p.anonymous()
	ada.cookie = first.cookie()
	var me api.Me
	ada.do("GET", "/auth/me", nil).is(http.StatusOK).into(&me)
	if me.SessionEndsAt == nil || me.SessionEndsAt.Sub(p.clock.Now()) < 10*time.Minute || me.SessionEndsAt.Sub(p.clock.Now()) > 11*time.Minute {
		t.Fatalf("%+v", me)
	}
	p.clock.Advance(9 * time.Minute)
	if r := ada.do("GET", "/projects", nil).is(http.StatusOK); r.Header.Get("Set-Cookie") != "" {
		t.Fatal("its use prolongs it")
	}
	older := server.Token(adaID, "ada@example.com", map[string]any{"exp": server.Ago(-2 * time.Minute)})
	prolonged := ada.exchange(server.Token(adaID, "ada@example.com"), "").is(http.StatusOK)
	if prolonged.cookie().Value != ada.cookie.Value {
		t.Error("a session that is prolonged is another")
	}
	ada.exchange(older, "").is(http.StatusOK) // by a page that has not refreshed yet
	p.clock.Advance(9 * time.Minute)
	ada.do("GET", "/projects", nil).is(http.StatusOK)
	p.clock.Advance(2 * time.Minute)
	ada.do("GET", "/projects", nil).is(http.StatusUnauthorized)
	ada.exchange(server.Token(adaID, "ada@example.com"), "").is(http.StatusOK)

	server.TokenTime = 365 * 24 * time.Hour
	if set := p.anonymous().exchange(server.Token(adaID, "ada@example.com"), "").is(http.StatusOK).Header.Get("Set-Cookie"); !strings.Contains(set, "Max-Age=259") {
		t.Errorf("a session lasts for longer than 30 days: %q", set)
	}
}

func TestASessionIsNotGivenToAnother(t *testing.T) {
	p, server := newSupabasePlane(t, func(p *plane) { p.accountConfig.OpenSignup = true })
	ada := p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	r := ada.exchange(server.Token(bobID, "bob@example.com"), "").is(http.StatusOK)
	if r.cookie().Value == ada.cookie.Value {
		t.Fatal("two people have one session")
	}
	ada.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	fixed := p.anonymous()
	fixed.cookie = &http.Cookie{Name: "mv_session", Value: "CHOSENBYSOMEBODYELSE"}
	if got := fixed.exchange(server.Token(bobID, "bob@example.com"), "").is(http.StatusOK).cookie().Value; got == fixed.cookie.Value {
		t.Fatal("a session that was made up is taken")
	}
}

func TestSessionsBySupabaseNeedOurOrigin(t *testing.T) {
	p, server := newSupabasePlane(t)
	p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	for origin, want := range map[string]int{publicURL: 200, "": 200, "null": 403, "http://evil.example.com": 403} {
		c := &client{p: p, origin: origin}
		c.exchange(server.Token(adaID, "ada@example.com"), "").is(want)
	}
}

func TestSignOutEndsASessionBySupabase(t *testing.T) {
	p, server := newSupabasePlane(t)
	ada := p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	other := p.enter(server.Token(adaID, "ada@example.com"), "")
	ada.do("POST", "/auth/logout", nil).is(http.StatusNoContent)
	ada.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	other.do("GET", "/auth/me", nil).is(http.StatusOK)

	// After a new password nobody else stays, nor comes back with a token that
	// still lasts.
	theirs := server.Token(adaID, "ada@example.com")
	undated := server.Token(adaID, "ada@example.com", map[string]any{"iat": nil})
	p.bearer(theirs).do("GET", "/auth/me", nil).is(http.StatusOK)
	p.clock.Advance(time.Second)
	mine, token := p.anonymous(), server.Token(adaID, "ada@example.com")
	mine.cookie = mine.do("POST", "/auth/session", map[string]any{"token": token, "endOthers": true}).is(http.StatusOK).cookie()
	other.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	for _, old := range []string{theirs, undated} {
		other.exchange(old, "").is(http.StatusUnauthorized)
		p.bearer(old).do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	}
	mine.do("GET", "/auth/me", nil).is(http.StatusOK)
	p.bearer(token).do("GET", "/auth/me", nil).is(http.StatusOK)
}

func TestWhereSupabaseSignsPeopleInPasswordsDont(t *testing.T) {
	p, server := newSupabasePlane(t)
	ada := p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	var invitation api.Invitation
	ada.do("POST", "/invitations", nil).is(http.StatusCreated).into(&invitation)
	for _, path := range []string{"/auth/signup", "/auth/login"} {
		body := map[string]string{"email": "bob@example.com", "password": password}
		if path == "/auth/signup" {
			body["code"] = invitation.Code
		}
		if detail := p.anonymous().do("POST", path, body).is(http.StatusForbidden).problem().Detail; !strings.Contains(detail, "Supabase") || !strings.Contains(detail, "API token") {
			t.Error(detail)
		}
	}
	if err := p.accounts.ResetPassword(t.Context(), "ada@example.com", "another password"); controlplane.CodeOf(err) != controlplane.CodeForbidden {
		t.Errorf("%v", err)
	}
	ci := ada.withScope("deploy")
	p.clock.Advance(365 * 24 * time.Hour)
	ci.do("GET", "/projects", nil).is(http.StatusOK)
	ci.do("DELETE", "/projects/x", nil).is(http.StatusForbidden)
}

func TestWhereSupabaseDoesNotSignPeopleInItsTokensAreNothing(t *testing.T) {
	server := supabasetest.Start(t)
	p := newPlane(t)
	server.Now = p.clock.Now
	var setup api.Setup
	if p.anonymous().do("GET", "/auth/setup", nil).into(&setup); setup.Supabase != nil {
		t.Errorf("%+v", setup)
	}
	token := server.Token(adaID, "ada@example.com")
	p.bearer(token).do("GET", "/projects", nil).is(http.StatusUnauthorized)
	p.anonymous().exchange(token, p.setup).is(http.StatusNotFound)
	var me api.Me
	if p.owner().do("GET", "/auth/me", nil).into(&me); me.SessionEndsAt != nil {
		t.Errorf("%+v", me)
	}
}

// TestSwitchingToSupabaseAndBack leaves accounts and what they own, but nobody
// signed in.
func TestSwitchingToSupabaseAndBack(t *testing.T) {
	p := newPlane(t)
	owner := p.owner()
	project := owner.project("kept")
	second := p.second(owner)
	secondProject := second.project("seconds")
	ci := owner.withScope("read")

	server := supabasetest.Start(t)
	server.Now = p.clock.Now
	switched := controlplane.NewAccounts(controlplane.AccountsConfig{Now: p.clock.Now, Supabase: supabase.New(supabase.Config{URL: server.URL, Now: p.clock.Now})}, p.store)
	t.Cleanup(switched.Close)
	setup, err := switched.Open(t.Context())
	if err != nil || setup == "" {
		t.Fatalf("the owner can't be taken over: %q %v", setup, err)
	}
	link, err := switched.Link(t.Context(), "Second@example.com")
	if err != nil {
		t.Fatal(err)
	}
	before := *p.accounts
	defer func() { *p.accounts = before }()
	*p.accounts = *switched // the same server, started with SUPABASE_URL
	owner.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	ci.do("GET", "/projects/"+project.ID, nil).is(http.StatusOK)
	ada := p.enter(server.Token(adaID, "ada@example.com"), setup)
	ada.do("GET", "/projects/"+project.ID, nil).is(http.StatusOK)
	bob := p.enter(server.Token(bobID, "bob@example.com"), link.Code)
	bob.do("GET", "/projects/"+secondProject.ID, nil).is(http.StatusOK)
	p.anonymous().exchange(server.Token("6d1f0e5a-2222-4000-8000-000000000003", "eve@example.com"), link.Code).is(http.StatusUnprocessableEntity)
	if _, err := switched.Link(t.Context(), "nobody@example.com"); controlplane.CodeOf(err) != controlplane.CodeNotFound {
		t.Errorf("%v", err)
	}

	// The Supabase user is made anew: the account is given to the new one.
	if link, err = switched.Link(t.Context(), "bob@example.com"); err != nil {
		t.Fatal(err)
	}
	again := p.enter(server.Token("6d1f0e5a-4444-4000-8000-000000000005", "bob@example.com"), link.Code)
	again.do("GET", "/projects/"+secondProject.ID, nil).is(http.StatusOK)
	bob.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	p.anonymous().exchange(server.Token(bobID, "bob2@example.com"), "").is(http.StatusForbidden)

	*p.accounts = before
	ada.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	if err := p.accounts.ResetPassword(t.Context(), "ada@example.com", "another password"); err != nil {
		t.Fatal(err)
	}
	p.anonymous().do("POST", "/auth/login", map[string]string{"email": "ada@example.com", "password": "another password"}).is(http.StatusOK)
	if _, err := p.accounts.Link(t.Context(), "ada@example.com"); controlplane.CodeOf(err) != controlplane.CodeConflict {
		t.Errorf("%v", err)
	}
}

func TestAnAccountWithoutAccess(t *testing.T) {
	p, server := newSupabasePlane(t, func(p *plane) {
		p.accountConfig.OpenSignup = true
		p.options.KeepAlive = 10 * time.Millisecond
	})
	p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	token := server.Token(bobID, "bob@example.com")
	bob := p.enter(token, "")
	ci := bob.withScope("read")
	bySession, byToken := bob.follow("/events"), p.bearer(token).follow("/events")
	if err := p.accounts.Disable(t.Context(), "Bob@example.com", true); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*events{bySession, byToken} {
		for range e.c { // until it ends
		}
	}
	bob.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	for _, r := range []*response{p.bearer(token).do("GET", "/projects", nil), p.anonymous().exchange(token, ""), ci.do("GET", "/projects", nil)} {
		if detail := r.is(http.StatusForbidden).problem().Detail; !strings.Contains(detail, "administrator") {
			t.Error(detail)
		}
	}
	if err := p.accounts.Disable(t.Context(), "ada@example.com", true); controlplane.CodeOf(err) != controlplane.CodeConflict {
		t.Errorf("the owner: %v", err)
	}
	if err := p.accounts.Disable(t.Context(), "nobody@example.com", true); controlplane.CodeOf(err) != controlplane.CodeNotFound {
		t.Errorf("%v", err)
	}
	if err := p.accounts.Disable(t.Context(), "bob@example.com", false); err != nil {
		t.Fatal(err)
	}
	p.enter(token, "")
	ci.do("GET", "/projects", nil).is(http.StatusOK)
}

func TestAnAccountWithoutAccessHasNoPasswordEither(t *testing.T) {
	p := newPlane(t)
	second := p.second(p.owner())
	if err := p.accounts.Disable(t.Context(), "second@example.com", true); err != nil {
		t.Fatal(err)
	}
	second.do("GET", "/auth/me", nil).is(http.StatusUnauthorized)
	p.anonymous().do("POST", "/auth/login", map[string]string{"email": "second@example.com", "password": password}).is(http.StatusForbidden)
	p.anonymous().do("POST", "/auth/login", map[string]string{"email": "second@example.com", "password": "wrong password"}).is(http.StatusUnauthorized)
}

func TestWhileSupabaseIsAway(t *testing.T) {
	p, server := newSupabasePlane(t)
	ada := p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	token := server.Token(adaID, "ada@example.com")
	server.Stop()
	ada.do("GET", "/projects", nil).is(http.StatusOK)
	p.bearer(token).do("GET", "/projects", nil).is(http.StatusOK)
	p.enter(token, "")
	r := p.bearer(supabasetest.NewKey().Sign(server.Claims(adaID, ""))).do("GET", "/projects", nil).is(http.StatusServiceUnavailable)
	if !strings.Contains(r.problem().Detail, "Supabase does not answer") || r.Header.Get("Retry-After") == "" {
		t.Errorf("%s", r.body)
	}
	p.anonymous().do("GET", "/ready", nil).is(http.StatusOK)
	var system api.System
	ada.do("GET", "/system", nil).is(http.StatusOK).into(&system)
	last := system.Parts[len(system.Parts)-1]
	if last.Name != "supabase" || last.Status != "failed" {
		t.Errorf("%+v", system.Parts)
	}

	// A control plane that starts now has the keys from before.
	again := controlplane.NewAccounts(controlplane.AccountsConfig{Now: p.clock.Now, Supabase: supabase.New(supabase.Config{URL: server.URL, Now: p.clock.Now})}, p.store)
	t.Cleanup(again.Close)
	if _, err := again.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Supabase(t.Context(), token); err != nil {
		t.Error(err)
	}
	// Those of another project are none.
	other := controlplane.NewAccounts(controlplane.AccountsConfig{Now: p.clock.Now, Supabase: supabase.New(supabase.Config{URL: "http://127.0.0.1:1", Now: p.clock.Now})}, p.store)
	t.Cleanup(other.Close)
	if _, err := other.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Supabase(t.Context(), token); controlplane.CodeOf(err) != controlplane.CodeUnavailable {
		t.Errorf("%v", err)
	}
}

func TestWhoHasNoAccountIsCounted(t *testing.T) {
	p, server := newSupabasePlane(t, rates(api.Rates{General: 3}))
	stranger := p.bearer(server.Token(bobID, "bob@example.com"))
	for range 3 {
		stranger.do("GET", "/projects", nil).is(http.StatusForbidden)
	}
	stranger.do("GET", "/projects", nil).is(http.StatusTooManyRequests)
}

// TestWhoHasNoAccountWritesNothing: anybody may sign up at Supabase.
func TestWhoHasNoAccountWritesNothing(t *testing.T) {
	p, server := newSupabasePlane(t)
	p.enter(server.Token(adaID, "ada@example.com"), p.setup)
	writes := countedStore{Store: p.store}
	accounts := controlplane.NewAccounts(controlplane.AccountsConfig{Now: p.clock.Now, Supabase: p.accountConfig.Supabase}, &writes)
	for _, email := range []string{"bob@example.com", ""} {
		if _, err := accounts.Supabase(t.Context(), server.Token(bobID, email)); controlplane.CodeOf(err) != controlplane.CodeForbidden {
			t.Errorf("%v", err)
		}
	}
	if n := writes.updates.Load(); n != 0 {
		t.Errorf("%d transactions that write", n)
	}
}

// countedStore counts the transactions that write.
type countedStore struct {
	controlplane.Store
	updates atomic.Int64
}

func (s *countedStore) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	s.updates.Add(1)
	return s.Store.Update(ctx, f)
}

func TestNoTokenOfSupabaseIsTold(t *testing.T) {
	p, server := newSupabasePlane(t)
	good, bad := server.Token(adaID, "ada@example.com"), supabasetest.NewKey().Sign(server.Claims(adaID, "ada@example.com"))
	p.enter(good, p.setup)
	bodies := string(p.anonymous().exchange(bad, "").is(http.StatusUnauthorized).body) +
		string(p.bearer(bad).do("GET", "/projects", nil).is(http.StatusUnauthorized).body) +
		string(p.anonymous().exchange(strings.Repeat("x", supabase.MaxToken+1), "").is(http.StatusUnprocessableEntity).body) +
		string(p.anonymous().do("POST", "/auth/session", `{"token":["`+good+`"]}`).is(http.StatusUnprocessableEntity).body)
	for _, token := range []string{good, bad, strings.Repeat("x", 100)} {
		if strings.Contains(bodies, token) || strings.Contains(p.log.String(), token) {
			t.Error("a token is told")
		}
	}
}
