package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Me is who is signed in, and what pages need to know before anything else.
type Me struct {
	User           controlplane.User  `json:"user"`
	Scope          controlplane.Scope `json:"scope" doc:"What the sign-in is good for; a session is good for everything."`
	Signup         string             `json:"signup" enum:"invite,open" doc:"Who may make an account."`
	NeedsSetup     bool               `json:"needsSetup" doc:"Nobody has made the first account yet."`
	Isolation      Isolation          `json:"isolation"`
	BaseDomain     string             `json:"baseDomain" doc:"What the hosts of all sites are below."`
	SiteURLPattern string             `json:"siteURLPattern" doc:"The address of a project's site, with {subDomain} in it."`
	Version        string             `json:"version"`
	SessionEndsAt  *time.Time         `json:"sessionEndsAt,omitempty" doc:"When a sign-in by Supabase ends, unless POST /auth/session prolongs it."`
}

// Setup is what a page needs to know when nobody is signed in.
type Setup struct {
	NeedsSetup bool   `json:"needsSetup" doc:"Nobody has made the first account yet."`
	Signup     string `json:"signup" enum:"invite,open" doc:"Who may make an account after the first."`

	Supabase *SupabaseProject `json:"supabase,omitempty" doc:"Where people sign in, and make and change their passwords; none: here."`
}

// SupabaseProject is what a page needs to speak to Supabase Auth.
type SupabaseProject struct {
	URL     string `json:"url"`
	AnonKey string `json:"anonKey" doc:"Goes with every call there. It is no secret."`
}

type signUpInput struct {
	Body struct {
		Email    string `json:"email" maxLength:"254"`
		Password string `json:"password" maxLength:"256" doc:"8 characters at least."`
		Name     string `json:"name,omitempty" maxLength:"100"`
		Code     string `json:"code,omitempty" maxLength:"100" doc:"Of the setup link, or of an invitation."`
	}
}

type signInInput struct {
	Body struct {
		Email    string `json:"email" maxLength:"254"`
		Password string `json:"password" maxLength:"256"`
	}
}

type supabaseSessionInput struct {
	Body struct {
		Token     string `json:"token" maxLength:"16384" doc:"An access token of Supabase."`
		Code      string `json:"code,omitempty" maxLength:"100" doc:"Of the setup link, or of an invitation; for whoever has no account yet."`
		EndOthers bool   `json:"endOthers,omitempty" doc:"End all other sessions: the password was changed."`
	}
}

// sessionOutput is an answer with which a session begins or ends.
type sessionOutput struct {
	SetCookie string `header:"Set-Cookie"`
	Body      Me
}

type signOutOutput struct {
	SetCookie string `header:"Set-Cookie"`
}

// Invitation lets one person make an account.
type Invitation struct {
	Code      string    `json:"code" doc:"Shown this once, and good once."`
	URL       string    `json:"url" doc:"The page that takes it."`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (a *API) registerAuth() {
	register(a, endpoint{
		id: "getSetup", method: http.MethodGet, path: "/auth/setup", tag: "Accounts", summary: "Is the first account to be made?",
		public: true, rate: rateGeneral,
	}, a.setup)
	register(a, endpoint{
		id: "signUp", method: http.MethodPost, path: "/auth/signup", tag: "Accounts", summary: "Make an account and sign in",
		about:  "The first account takes over what was there before it, and needs the one-time code of the setup link that the control plane prints when it starts. Later ones need an invitation, unless sign-up is open.",
		public: true, rate: rateSignIn, status: http.StatusCreated,
	}, a.signUp)
	register(a, endpoint{
		id: "signIn", method: http.MethodPost, path: "/auth/login", tag: "Accounts", summary: "Sign in",
		public: true, rate: rateSignIn,
	}, a.login)
	register(a, endpoint{
		id: "beginSession", method: http.MethodPost, path: "/auth/session", tag: "Accounts", summary: "Begin or prolong a session by a token of Supabase",
		about: "Where people sign in by Supabase. The session ends with the token, unless the next one prolongs it. It is for what can't send a header, such as streams in a browser; programs send the token, or an API token, as Bearer.",
		// Not counted as a sign-in: no password is guessed by it, and every page
		// that is open calls it now and then.
		public: true, rate: rateGeneral,
	}, a.supabaseSession)
	register(a, endpoint{
		id: "signOut", method: http.MethodPost, path: "/auth/logout", tag: "Accounts", summary: "End the session",
		public: true, rate: rateGeneral, status: http.StatusNoContent,
	}, a.logout)
	register(a, endpoint{
		id: "getMe", method: http.MethodGet, path: "/auth/me", tag: "Accounts", summary: "Who is signed in?",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, a.me)
	register(a, endpoint{
		id: "invite", method: http.MethodPost, path: "/invitations", tag: "Accounts", summary: "Invite somebody (administrators)",
		scope: controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusCreated,
	}, a.invite)
}

func (a *API) setup(ctx context.Context, _ *empty) (*bodyOutput[Setup], error) {
	needed, err := a.Accounts.NeedsSetup(ctx)
	setup := Setup{NeedsSetup: needed, Signup: a.signupMode()}
	if a.Accounts.BySupabase() {
		setup.Supabase = &a.Supabase
	}
	return answer(setup, err)
}

func (a *API) signupMode() string {
	if a.Accounts.OpenSignup() {
		return "open"
	}
	return "invite"
}

func (a *API) signUp(ctx context.Context, in *signUpInput) (*sessionOutput, error) {
	user, session, err := a.Accounts.SignUp(ctx, controlplane.SignUpInput{
		Email: in.Body.Email, Password: in.Body.Password, Name: in.Body.Name, Code: in.Body.Code,
	})
	if err != nil {
		return nil, err
	}
	return a.begin(ctx, user, session)
}

func (a *API) login(ctx context.Context, in *signInInput) (*sessionOutput, error) {
	user, session, err := a.Accounts.SignIn(ctx, in.Body.Email, in.Body.Password)
	if err != nil {
		return nil, err
	}
	return a.begin(ctx, user, session)
}

// begin answers a sign-in. The session that the browser had before ends: it
// might be somebody else's.
func (a *API) begin(ctx context.Context, user *controlplane.User, session string) (*sessionOutput, error) {
	if before := callerOf(ctx).session; before != "" {
		if err := a.Accounts.SignOut(ctx, before); err != nil {
			return nil, err
		}
	}
	me, err := a.describe(ctx, user, controlplane.ScopeAdmin, time.Time{})
	if err != nil {
		return nil, err
	}
	return &sessionOutput{SetCookie: a.cookie(session, a.Accounts.SessionTime()).String(), Body: *me}, nil
}

func (a *API) supabaseSession(ctx context.Context, in *supabaseSessionInput) (*sessionOutput, error) {
	if !a.Accounts.BySupabase() {
		return nil, controlplane.Errorf(controlplane.CodeNotFound, "People don't sign in by Supabase here.")
	}
	s, err := a.Accounts.SupabaseSession(ctx, controlplane.SupabaseSessionInput{
		Token: in.Body.Token, Code: in.Body.Code, Before: callerOf(ctx).session, EndOthers: in.Body.EndOthers,
	})
	if err != nil {
		return nil, err
	}
	me, err := a.describe(ctx, s.User, controlplane.ScopeAdmin, s.Until)
	if err != nil {
		return nil, err
	}
	return &sessionOutput{SetCookie: a.cookie(s.Secret, s.Until.Sub(a.Now())).String(), Body: *me}, nil
}

func (a *API) logout(ctx context.Context, _ *empty) (*signOutOutput, error) {
	if session := callerOf(ctx).session; session != "" {
		if err := a.Accounts.SignOut(ctx, session); err != nil {
			return nil, err
		}
	}
	return &signOutOutput{SetCookie: a.cookie("", 0).String()}, nil
}

func (a *API) me(ctx context.Context, _ *empty) (*bodyOutput[*Me], error) {
	p := principal(ctx)
	user, err := a.Accounts.User(ctx, p)
	if err != nil {
		return nil, err
	}
	return answer(a.describe(ctx, user, p.Scope, p.Until))
}

func (a *API) describe(ctx context.Context, user *controlplane.User, scope controlplane.Scope, until time.Time) (*Me, error) {
	needed, err := a.Accounts.NeedsSetup(ctx)
	if err != nil {
		return nil, err
	}
	me := &Me{
		User: *user, Scope: scope, Signup: a.signupMode(), NeedsSetup: needed, Isolation: a.Isolation,
		BaseDomain: a.BaseDomain, SiteURLPattern: a.SiteURLPattern, Version: a.Version,
	}
	if !until.IsZero() {
		me.SessionEndsAt = &until
	}
	return me, nil
}

func (a *API) invite(ctx context.Context, _ *inviteInput) (*bodyOutput[Invitation], error) {
	i, err := a.Accounts.Invite(ctx, principal(ctx))
	if err != nil {
		return nil, err
	}
	return answer(Invitation{Code: i.Code, URL: SignUpURL(a.PublicURL, i.Code), ExpiresAt: i.ExpiresAt}, nil)
}

type inviteInput struct {
	Body *struct{} `required:"false"`
}

// SignUpURL is the page that takes a setup code or an invitation. The code
// stands behind a #, so that it is in no server's log.
func SignUpURL(public *url.URL, code string) string {
	return public.JoinPath("dashboard", "signup").String() + "#code=" + code
}
