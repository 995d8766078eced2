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
}

// Setup is what a page needs to know when nobody is signed in.
type Setup struct {
	NeedsSetup bool   `json:"needsSetup" doc:"Nobody has made the first account yet."`
	Signup     string `json:"signup" enum:"invite,open" doc:"Who may make an account after the first."`
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
	return answer(Setup{NeedsSetup: needed, Signup: a.signupMode()}, err)
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
	me, err := a.describe(ctx, user, controlplane.ScopeAdmin)
	if err != nil {
		return nil, err
	}
	return &sessionOutput{SetCookie: a.cookie(session).String(), Body: *me}, nil
}

func (a *API) logout(ctx context.Context, _ *empty) (*signOutOutput, error) {
	if session := callerOf(ctx).session; session != "" {
		if err := a.Accounts.SignOut(ctx, session); err != nil {
			return nil, err
		}
	}
	return &signOutOutput{SetCookie: a.cookie("").String()}, nil
}

func (a *API) me(ctx context.Context, _ *empty) (*bodyOutput[*Me], error) {
	p := principal(ctx)
	user, err := a.Accounts.User(ctx, p)
	if err != nil {
		return nil, err
	}
	return answer(a.describe(ctx, user, p.Scope))
}

func (a *API) describe(ctx context.Context, user *controlplane.User, scope controlplane.Scope) (*Me, error) {
	needed, err := a.Accounts.NeedsSetup(ctx)
	if err != nil {
		return nil, err
	}
	return &Me{
		User: *user, Scope: scope, Signup: a.signupMode(), NeedsSetup: needed, Isolation: a.Isolation,
		BaseDomain: a.BaseDomain, SiteURLPattern: a.SiteURLPattern, Version: a.Version,
	}, nil
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
