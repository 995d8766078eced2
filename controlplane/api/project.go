package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

type projectInput struct {
	Body ProjectBody
}

// ProjectBody makes a project. Settings of the build that are left out or empty
// are detected.
type ProjectBody struct {
	Name             string                    `json:"name" minLength:"1" maxLength:"100"`
	SubDomain        string                    `json:"subDomain,omitempty" maxLength:"40" doc:"A unique DNS label of 3 to 40 characters. From the name where it is left out."`
	GitURL           string                    `json:"gitURL,omitempty" maxLength:"2048" doc:"https:// to a public host. None: the project gets its files by upload."`
	ProductionBranch string                    `json:"productionBranch,omitempty" maxLength:"255" doc:"The repository's default where it is left out."`
	RootDirectory    string                    `json:"rootDirectory,omitempty" maxLength:"1024"`
	Framework        string                    `json:"framework,omitempty" maxLength:"100"`
	InstallCommand   string                    `json:"installCommand,omitempty" maxLength:"4096"`
	BuildCommand     string                    `json:"buildCommand,omitempty" maxLength:"4096"`
	OutputDirectory  string                    `json:"outputDirectory,omitempty" maxLength:"1024"`
	NodeVersion      string                    `json:"nodeVersion,omitempty" maxLength:"100"`
	HTMLHandling     optionalHTMLHandling      `json:"htmlHandling,omitempty"`
	NotFound         optionalNotFound          `json:"notFound,omitempty"`
	StrictRules      bool                      `json:"strictRules,omitempty" doc:"A wrong line of _redirects or _headers fails the deployment."`
	EarlyHints       bool                      `json:"earlyHints,omitempty" doc:"What a page preloads is named in a 103 response before it."`
	Credentials      *controlplane.Credentials `json:"credentials,omitempty" doc:"For the clone of a private repository. They are kept encrypted and never shown."`
}

type projectPatchInput struct {
	ID   string `path:"id" maxLength:"100"`
	Body ProjectPatchBody
}

// ProjectPatchBody changes a project. What it leaves out stays as it is.
type ProjectPatchBody struct {
	Name             *string                   `json:"name,omitempty" minLength:"1" maxLength:"100"`
	SubDomain        *string                   `json:"subDomain,omitempty" maxLength:"40"`
	CustomDomain     *string                   `json:"customDomain,omitempty" minLength:"1" maxLength:"253" doc:"The domain that the project is shown with: a verified one that does not redirect."`
	GitURL           *string                   `json:"gitURL,omitempty" maxLength:"2048"`
	ProductionBranch *string                   `json:"productionBranch,omitempty" maxLength:"255"`
	RootDirectory    *string                   `json:"rootDirectory,omitempty" maxLength:"1024"`
	Framework        *string                   `json:"framework,omitempty" maxLength:"100"`
	InstallCommand   *string                   `json:"installCommand,omitempty" maxLength:"4096"`
	BuildCommand     *string                   `json:"buildCommand,omitempty" maxLength:"4096"`
	OutputDirectory  *string                   `json:"outputDirectory,omitempty" maxLength:"1024"`
	NodeVersion      *string                   `json:"nodeVersion,omitempty" maxLength:"100"`
	HTMLHandling     *optionalHTMLHandling     `json:"htmlHandling,omitempty"`
	NotFound         *optionalNotFound         `json:"notFound,omitempty"`
	StrictRules      *bool                     `json:"strictRules,omitempty" doc:"A wrong line of _redirects or _headers fails the deployment."`
	EarlyHints       *bool                     `json:"earlyHints,omitempty" doc:"What a page preloads is named in a 103 response before it."`
	Credentials      *controlplane.Credentials `json:"credentials,omitempty" doc:"An empty user name and password remove them."`
}

type detectInput struct {
	Body struct {
		GitURL        string `json:"gitURL" minLength:"1" maxLength:"2048"`
		Branch        string `json:"branch,omitempty" maxLength:"255" doc:"The repository's default where it is left out."`
		RootDirectory string `json:"rootDirectory,omitempty" maxLength:"1024"`
	}
}

// detectTime bounds a detection; the service ends it by itself before.
const detectTime = 40 * time.Second

type projectOutput = bodyOutput[*controlplane.Project]

func (a *API) registerProjects() {
	register(a, endpoint{
		id: "listProjects", method: http.MethodGet, path: "/projects", tag: "Projects",
		summary: "Your projects, each with its latest and its production deployment",
		scope:   controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *PageInput) (*pageOutput[*controlplane.Project], error) {
		items, next, err := a.Service.Projects(ctx, principal(ctx), in.page())
		if err != nil {
			return nil, err
		}
		return newPage(items, next), nil
	})
	register(a, endpoint{
		id: "createProject", method: http.MethodPost, path: "/projects", tag: "Projects", summary: "Make a project",
		about: "Settings of the build that are left out or empty are detected.",
		scope: controlplane.ScopeDeploy, rate: rateGeneral, status: http.StatusCreated,
	}, a.createProject)
	register(a, endpoint{
		id: "detect", method: http.MethodPost, path: "/detect", tag: "Projects",
		summary: "Look at a repository before a project is made of it: framework, commands, output, branches",
		scope:   controlplane.ScopeDeploy, rate: rateDetect,
	}, a.detect)
	register(a, endpoint{
		id: "getProject", method: http.MethodGet, path: "/projects/{id}", tag: "Projects", summary: "A project, by its id or subDomain",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *idInput) (*projectOutput, error) {
		return answer(a.Service.Project(ctx, principal(ctx), in.ID))
	})
	register(a, endpoint{
		id: "updateProject", method: http.MethodPatch, path: "/projects/{id}", tag: "Projects", summary: "Change a project",
		about: "What is left out stays as it is; an empty setting of the build is detected again.",
		scope: controlplane.ScopeAdmin, rate: rateGeneral,
	}, a.updateProject)
	register(a, endpoint{
		id: "deleteProject", method: http.MethodDelete, path: "/projects/{id}", tag: "Projects",
		summary: "Delete a project", about: "Its builds stop and its hosts answer 410 at once; files, logs and rows go in the background.",
		scope: controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusNoContent,
	}, func(ctx context.Context, in *idInput) (*empty, error) {
		return done(a.Service.DeleteProject(ctx, principal(ctx), in.ID))
	})
	for _, suspended := range []bool{true, false} {
		e := endpoint{
			id: "suspendProject", method: http.MethodPost, path: "/projects/{id}/suspend", tag: "Projects",
			summary: "Take a project's sites down (administrators)", scope: controlplane.ScopeAdmin, rate: rateSensitive,
		}
		if !suspended {
			e.id, e.path, e.summary = "unsuspendProject", "/projects/{id}/unsuspend", "Put a project's sites up again (administrators)"
		}
		register(a, e, func(ctx context.Context, in *idInput) (*projectOutput, error) {
			return answer(a.Service.SuspendProject(ctx, principal(ctx), in.ID, suspended))
		})
	}
	register(a, endpoint{
		id: "resumeProject", method: http.MethodPost, path: "/projects/{id}/resume", tag: "Projects",
		summary: "End the pin of a rollback", about: "Production follows new deployments again.",
		scope: controlplane.ScopeDeploy, rate: rateSensitive,
	}, func(ctx context.Context, in *idInput) (*projectOutput, error) {
		return answer(a.Service.ResumeProject(ctx, principal(ctx), in.ID))
	})
}

func (a *API) createProject(ctx context.Context, in *projectInput) (*projectOutput, error) {
	b := in.Body
	return answer(a.Service.CreateProject(ctx, principal(ctx), controlplane.ProjectInput{
		Name: b.Name, SubDomain: b.SubDomain, GitURL: b.GitURL, ProductionBranch: b.ProductionBranch,
		Credentials: b.Credentials,
		Build: site.BuildSettings{
			RootDirectory: b.RootDirectory, Framework: b.Framework, InstallCommand: b.InstallCommand, BuildCommand: b.BuildCommand,
			OutputDirectory: b.OutputDirectory, NodeVersion: b.NodeVersion,
			HTMLHandling: site.HTMLHandling(b.HTMLHandling), NotFound: site.NotFound(b.NotFound), StrictRules: b.StrictRules,
			EarlyHints: b.EarlyHints,
		},
	}))
}

func (a *API) updateProject(ctx context.Context, in *projectPatchInput) (*projectOutput, error) {
	b := in.Body
	return answer(a.Service.UpdateProject(ctx, principal(ctx), in.ID, controlplane.ProjectPatch{
		Name: b.Name, SubDomain: b.SubDomain, CustomDomain: b.CustomDomain, GitURL: b.GitURL, ProductionBranch: b.ProductionBranch,
		RootDirectory: b.RootDirectory, Framework: b.Framework, InstallCommand: b.InstallCommand, BuildCommand: b.BuildCommand,
		OutputDirectory: b.OutputDirectory, NodeVersion: b.NodeVersion, Credentials: b.Credentials,
		HTMLHandling: (*site.HTMLHandling)(b.HTMLHandling), NotFound: (*site.NotFound)(b.NotFound), StrictRules: b.StrictRules,
		EarlyHints: b.EarlyHints,
	}))
}

func (a *API) detect(ctx context.Context, in *detectInput) (*bodyOutput[*site.Detection], error) {
	ctx, cancel := context.WithTimeout(ctx, detectTime)
	defer cancel()
	return answer(a.Service.Detect(ctx, principal(ctx), controlplane.DetectInput(in.Body)))
}
