package api

import (
	"context"
	"net/http"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// NewToken is an API token with its secret.
type NewToken struct {
	controlplane.APIToken
	Token string `json:"token" doc:"The secret. It is shown this once."`
}

type tokenInput struct {
	Body struct {
		Name  string             `json:"name" minLength:"1" maxLength:"100"`
		Scope controlplane.Scope `json:"scope" doc:"read looks, deploy deploys and promotes, admin does everything."`
	}
}

func (a *API) registerTokens() {
	register(a, endpoint{
		id: "listTokens", method: http.MethodGet, path: "/tokens", tag: "Accounts", summary: "Your API tokens",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, _ *empty) (*pageOutput[*controlplane.APIToken], error) {
		tokens, err := a.Accounts.Tokens(ctx, principal(ctx))
		if err != nil {
			return nil, err
		}
		return newPage(tokens, ""), nil
	})
	register(a, endpoint{
		id: "createToken", method: http.MethodPost, path: "/tokens", tag: "Accounts", summary: "Make an API token",
		scope: controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusCreated,
	}, func(ctx context.Context, in *tokenInput) (*bodyOutput[NewToken], error) {
		token, secret, err := a.Accounts.CreateToken(ctx, principal(ctx), in.Body.Name, in.Body.Scope)
		if err != nil {
			return nil, err
		}
		return answer(NewToken{*token, secret}, nil)
	})
	register(a, endpoint{
		id: "deleteToken", method: http.MethodDelete, path: "/tokens/{id}", tag: "Accounts", summary: "Revoke an API token",
		scope: controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusNoContent,
	}, func(ctx context.Context, in *idInput) (*empty, error) {
		return done(a.Accounts.DeleteToken(ctx, principal(ctx), in.ID))
	})
}
