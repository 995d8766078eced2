package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

type accessInput struct {
	ID   string `path:"id" maxLength:"100"`
	Body struct {
		Scope    site.AccessScope `json:"scope" doc:"previews: all hosts but those of production. all: every host."`
		Password *string          `json:"password,omitempty" doc:"8 to 128 characters. It is kept as a hash and never shown. Left out, the one that there is stays."`
	}
}

type shareInput struct {
	ID   string `path:"id" maxLength:"100"`
	Body struct {
		Host      string `json:"host" minLength:"1" maxLength:"260" doc:"One of the project's, which asks for a password."`
		Path      string `json:"path,omitempty" maxLength:"2048" doc:"And query, where the link leads on that host."`
		ExpiresIn int64  `json:"expiresIn" minimum:"60" maximum:"2592000" doc:"Seconds, at most 30 days."`
	}
}

func (a *API) registerAccess() {
	register(a, endpoint{
		id: "setAccess", method: http.MethodPut, path: "/projects/{id}/access", tag: "Projects",
		summary: "Protect a project's previews, or all of it, by a password",
		about:   "A new password ends every access that there was, share links included.",
		scope:   controlplane.ScopeAdmin, rate: rateSensitive,
	}, func(ctx context.Context, in *accessInput) (*projectOutput, error) {
		return answer(a.Service.SetAccess(ctx, principal(ctx), in.ID, controlplane.AccessInput(in.Body)))
	})
	register(a, endpoint{
		id: "removeAccess", method: http.MethodDelete, path: "/projects/{id}/access", tag: "Projects",
		summary: "Open a project to everyone",
		scope:   controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusNoContent,
	}, func(ctx context.Context, in *idInput) (*empty, error) {
		return done(a.Service.RemoveAccess(ctx, principal(ctx), in.ID))
	})
	register(a, endpoint{
		id: "createShareLink", method: http.MethodPost, path: "/projects/{id}/share-links", tag: "Projects",
		summary: "A link that opens one protected host without the password",
		about:   "It is good until it expires or the password is changed. Nothing is kept of it.",
		scope:   controlplane.ScopeDeploy, rate: rateSensitive, status: http.StatusCreated,
	}, func(ctx context.Context, in *shareInput) (*bodyOutput[*controlplane.ShareLink], error) {
		return answer(a.Service.ShareLink(ctx, principal(ctx), in.ID, controlplane.ShareInput{
			Host: in.Body.Host, Path: in.Body.Path, ExpiresIn: time.Duration(in.Body.ExpiresIn) * time.Second,
		}))
	})
}
