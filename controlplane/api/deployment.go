package api

import (
	"context"
	"net/http"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// DeploymentFilter narrows a list of deployments. It is exported, as everything
// that inputs embed must be: huma sees exported fields only.
type DeploymentFilter struct {
	PageInput
	Status      controlplane.Status `query:"status"`
	Branch      string              `query:"branch" maxLength:"255"`
	Environment site.Environment    `query:"environment"`
}

type projectDeploymentsInput struct {
	ProjectID string `path:"projectId" maxLength:"100"`
	DeploymentFilter
}

type projectDeploymentInput struct {
	ProjectID  string `path:"projectId" maxLength:"100"`
	Deployment string `path:"deployment" maxLength:"100" doc:"Its id or hostId."`
}

type deployInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"A second call with the same key answers with the first one's deployment."`
	Body           struct {
		ProjectID   string              `json:"projectId" minLength:"1" maxLength:"100"`
		Branch      string              `json:"branch,omitempty" maxLength:"255" doc:"The production branch where it is left out."`
		Commit      string              `json:"commit,omitempty" maxLength:"64" doc:"The branch's newest where it is left out."`
		Environment optionalEnvironment `json:"environment,omitempty" doc:"Left out: production on the production branch and for the project's first one, else preview."`
		NoCache     bool                `json:"noCache,omitempty"`
		Message     string              `json:"message,omitempty" maxLength:"2000"`
	}
}

type promoteInput struct {
	ID   string `path:"id" maxLength:"100"`
	Body *struct {
		NoGrace bool `json:"noGrace,omitempty" doc:"Pages that are open no longer find the files of earlier deployments."`
	} `required:"false"`
}

type filesInput struct {
	ID     string `path:"id" maxLength:"100"`
	Prefix string `query:"prefix" maxLength:"1024" doc:"What the paths begin with."`
	Cursor string `query:"cursor" maxLength:"2048" doc:"What the page before has as next."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type (
	deploymentOutput  = bodyOutput[*controlplane.Deployment]
	deploymentsOutput = pageOutput[*controlplane.Deployment]
)

func (a *API) registerDeployments() {
	register(a, endpoint{
		id: "listDeployments", method: http.MethodGet, path: "/deployments", tag: "Deployments", summary: "Deployments of all your projects",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *DeploymentFilter) (*deploymentsOutput, error) {
		return a.deployments(ctx, "", *in)
	})
	register(a, endpoint{
		id: "listProjectDeployments", method: http.MethodGet, path: "/projects/{projectId}/deployments", tag: "Deployments",
		summary: "A project's deployments",
		scope:   controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *projectDeploymentsInput) (*deploymentsOutput, error) {
		return a.deployments(ctx, in.ProjectID, in.DeploymentFilter)
	})
	register(a, endpoint{
		id: "getProjectDeployment", method: http.MethodGet, path: "/projects/{projectId}/deployments/{deployment}", tag: "Deployments",
		summary: "A project's deployment, by its id or hostId",
		scope:   controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *projectDeploymentInput) (*deploymentOutput, error) {
		return answer(a.Service.ProjectDeployment(ctx, principal(ctx), in.ProjectID, in.Deployment))
	})
	register(a, endpoint{
		id: "deploy", method: http.MethodPost, path: "/deploy", tag: "Deployments", summary: "Deploy a project's repository",
		about: "The deployment is queued; an older queued one of the same branch is canceled.",
		scope: controlplane.ScopeDeploy, rate: rateDeploy, status: http.StatusAccepted,
	}, a.deploy)
	register(a, endpoint{
		id: "getDeployment", method: http.MethodGet, path: "/deployments/{id}", tag: "Deployments", summary: "A deployment",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *idInput) (*deploymentOutput, error) {
		return answer(a.Service.Deployment(ctx, principal(ctx), in.ID))
	})
	register(a, endpoint{
		id: "deleteDeployment", method: http.MethodDelete, path: "/deployments/{id}", tag: "Deployments", summary: "Remove a deployment",
		scope: controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusNoContent,
	}, func(ctx context.Context, in *idInput) (*empty, error) {
		return done(a.Service.DeleteDeployment(ctx, principal(ctx), in.ID))
	})
	register(a, endpoint{
		id: "cancelDeployment", method: http.MethodPost, path: "/deployments/{id}/cancel", tag: "Deployments", summary: "Cancel a deployment",
		scope: controlplane.ScopeDeploy, rate: rateGeneral,
	}, func(ctx context.Context, in *idInput) (*deploymentOutput, error) {
		return answer(a.Service.Cancel(ctx, principal(ctx), in.ID))
	})
	register(a, endpoint{
		id: "promoteDeployment", method: http.MethodPost, path: "/deployments/{id}/promote", tag: "Deployments",
		summary: "Give a deployment production, at once", about: "Promoting an older one is a rollback, and pins production until somebody resumes.",
		scope: controlplane.ScopeDeploy, rate: rateSensitive,
	}, func(ctx context.Context, in *promoteInput) (*deploymentOutput, error) {
		var p controlplane.PromoteInput
		if in.Body != nil {
			p.NoGrace = in.Body.NoGrace
		}
		return answer(a.Service.Promote(ctx, principal(ctx), in.ID, p))
	})
	register(a, endpoint{
		id: "retryDeployment", method: http.MethodPost, path: "/deployments/{id}/retry", tag: "Deployments",
		summary: "Deploy the same sources again, as a new deployment",
		scope:   controlplane.ScopeDeploy, rate: rateDeploy, status: http.StatusAccepted,
	}, func(ctx context.Context, in *idInput) (*deploymentOutput, error) {
		return answer(a.Service.Retry(ctx, principal(ctx), in.ID))
	})
	register(a, endpoint{
		id: "listFiles", method: http.MethodGet, path: "/deployments/{id}/files", tag: "Deployments", summary: "A deployment's files, by path",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *filesInput) (*pageOutput[controlplane.FileInfo], error) {
		files, next, err := a.Service.Files(ctx, principal(ctx), in.ID, controlplane.FilePage{Prefix: in.Prefix, After: in.Cursor, Limit: in.Limit})
		if err != nil {
			return nil, err
		}
		return newPage(files, next), nil
	})
}

func (a *API) deployments(ctx context.Context, project string, f DeploymentFilter) (*deploymentsOutput, error) {
	items, next, err := a.Service.Deployments(ctx, principal(ctx), controlplane.DeploymentFilter{
		ProjectID: project, Status: f.Status, Branch: f.Branch, Environment: f.Environment,
	}, f.page())
	if err != nil {
		return nil, err
	}
	return newPage(items, next), nil
}

func (a *API) deploy(ctx context.Context, in *deployInput) (*deploymentOutput, error) {
	b := in.Body
	return answer(a.Service.Deploy(ctx, principal(ctx), controlplane.DeployInput{
		ProjectID: b.ProjectID, Branch: b.Branch, Commit: b.Commit, Environment: site.Environment(b.Environment),
		NoCache: b.NoCache, Message: b.Message, IdempotencyKey: in.IdempotencyKey,
	}))
}
