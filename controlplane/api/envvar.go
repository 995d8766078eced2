package api

import (
	"context"
	"net/http"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// EnvVarBody sets an environment variable.
type EnvVarBody struct {
	Value        *string            `json:"value,omitempty" maxLength:"32768" doc:"Left out, the value stays as it is."`
	Secret       bool               `json:"secret,omitempty" doc:"The value is never shown again, and masked in logs."`
	Environments []site.Environment `json:"environments,omitempty" maxItems:"2" doc:"Both where it is left out."`
}

// EnvVarItem is one of all variables of a project.
type EnvVarItem struct {
	Key string `json:"key" minLength:"1" maxLength:"128"`
	EnvVarBody
}

// EnvVarInput names one variable of a project.
type EnvVarInput struct {
	ID  string `path:"id" maxLength:"100"`
	Key string `path:"key" maxLength:"128"`
}

type putEnvVarInput struct {
	EnvVarInput
	Body EnvVarBody
}

type putEnvVarsInput struct {
	ID   string `path:"id" maxLength:"100"`
	Body struct {
		Items []EnvVarItem `json:"items" maxItems:"256"`
	}
}

type envVarsOutput = pageOutput[*controlplane.EnvVar]

func (a *API) registerEnvVars() {
	register(a, endpoint{
		id: "listEnvVars", method: http.MethodGet, path: "/projects/{id}/env", tag: "Projects", summary: "A project's environment variables",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *idInput) (*envVarsOutput, error) {
		return envVars(a.Service.EnvVars(ctx, principal(ctx), in.ID))
	})
	register(a, endpoint{
		id: "replaceEnvVars", method: http.MethodPut, path: "/projects/{id}/env", tag: "Projects", summary: "Replace all environment variables",
		about: "What is not named goes. A variable without a value keeps the one that it has.",
		scope: controlplane.ScopeAdmin, rate: rateGeneral,
	}, func(ctx context.Context, in *putEnvVarsInput) (*envVarsOutput, error) {
		items := make([]controlplane.EnvVarInput, len(in.Body.Items))
		for i, item := range in.Body.Items {
			items[i] = item.EnvVarBody.input(item.Key)
		}
		return envVars(a.Service.ReplaceEnvVars(ctx, principal(ctx), in.ID, items))
	})
	register(a, endpoint{
		id: "getEnvVar", method: http.MethodGet, path: "/projects/{id}/env/{key}", tag: "Projects", summary: "An environment variable",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, a.getEnvVar)
	register(a, endpoint{
		id: "putEnvVar", method: http.MethodPut, path: "/projects/{id}/env/{key}", tag: "Projects", summary: "Set an environment variable",
		about: "Builds that start later see it.",
		scope: controlplane.ScopeAdmin, rate: rateGeneral,
	}, func(ctx context.Context, in *putEnvVarInput) (*bodyOutput[*controlplane.EnvVar], error) {
		return answer(a.Service.SetEnvVar(ctx, principal(ctx), in.ID, in.Body.input(in.Key)))
	})
	register(a, endpoint{
		id: "deleteEnvVar", method: http.MethodDelete, path: "/projects/{id}/env/{key}", tag: "Projects", summary: "Remove an environment variable",
		scope: controlplane.ScopeAdmin, rate: rateGeneral, status: http.StatusNoContent,
	}, func(ctx context.Context, in *EnvVarInput) (*empty, error) {
		return done(a.Service.DeleteEnvVar(ctx, principal(ctx), in.ID, in.Key))
	})
}

func (b EnvVarBody) input(key string) controlplane.EnvVarInput {
	return controlplane.EnvVarInput{Key: key, Value: b.Value, Secret: b.Secret, Environments: b.Environments}
}

func envVars(items []*controlplane.EnvVar, err error) (*envVarsOutput, error) {
	if err != nil {
		return nil, err
	}
	return newPage(items, ""), nil
}

func (a *API) getEnvVar(ctx context.Context, in *EnvVarInput) (*bodyOutput[*controlplane.EnvVar], error) {
	items, err := a.Service.EnvVars(ctx, principal(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if item.Key == in.Key {
			return answer(item, nil)
		}
	}
	return nil, controlplane.Errorf(controlplane.CodeNotFound, "The project has no such variable.")
}
