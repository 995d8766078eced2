package api

import (
	"context"
	"net/http"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// DomainBody adds a domain.
type DomainBody struct {
	Host          string `json:"host" minLength:"1" maxLength:"253" doc:"Such as www.example.com; names beyond ASCII are converted."`
	RedirectOther bool   `json:"redirectOther,omitempty" doc:"Adds the other one of example.com and www.example.com too, which then redirects to this one."`
}

type addDomainInput struct {
	ID   string `path:"id" maxLength:"100"`
	Body DomainBody
}

// DomainInput names one domain of a project.
type DomainInput struct {
	ID   string `path:"id" maxLength:"100"`
	Host string `path:"host" maxLength:"253"`
}

type domainOutput = bodyOutput[*controlplane.Domain]

func (a *API) registerDomains() {
	register(a, endpoint{
		id: "listDomains", method: http.MethodGet, path: "/projects/{id}/domains", tag: "Domains", summary: "A project's domains, oldest first",
		about: "Each with the DNS records to set, as they were seen last.",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *idInput) (*pageOutput[*controlplane.Domain], error) {
		items, err := a.Service.Domains(ctx, principal(ctx), in.ID)
		if err != nil {
			return nil, err
		}
		return newPage(items, ""), nil
	})
	register(a, endpoint{
		id: "addDomain", method: http.MethodPost, path: "/projects/{id}/domains", tag: "Domains", summary: "Add a domain",
		about: "The answer names the DNS records to set; they are looked up at once, and then in the background. A domain that another project has verified is refused with 409, unless its TXT record says that it is this project's now.",
		scope: controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusCreated,
	}, func(ctx context.Context, in *addDomainInput) (*domainOutput, error) {
		return answer(a.Service.AddDomain(ctx, principal(ctx), in.ID, controlplane.DomainInput(in.Body)))
	})
	register(a, endpoint{
		id: "getDomain", method: http.MethodGet, path: "/projects/{id}/domains/{host}", tag: "Domains", summary: "A domain, looked up now",
		about: "DNS is asked, unless it was within two seconds, and an edge for the certificate. A domain whose records are right is verified by that.",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *DomainInput) (*domainOutput, error) {
		return answer(a.Service.Domain(ctx, principal(ctx), in.ID, in.Host))
	})
	register(a, endpoint{
		id: "verifyDomain", method: http.MethodPost, path: "/projects/{id}/domains/{host}/verify", tag: "Domains", summary: "Check a domain's records now",
		scope: controlplane.ScopeDeploy, rate: rateSensitive,
	}, func(ctx context.Context, in *DomainInput) (*domainOutput, error) {
		return answer(a.Service.VerifyDomain(ctx, principal(ctx), in.ID, in.Host))
	})
	register(a, endpoint{
		id: "removeDomain", method: http.MethodDelete, path: "/projects/{id}/domains/{host}", tag: "Domains", summary: "Remove a domain",
		about: "It answers 410 from then on, as does a domain that redirects to it, which is removed with it.",
		scope: controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusNoContent,
	}, func(ctx context.Context, in *DomainInput) (*empty, error) {
		return done(a.Service.RemoveDomain(ctx, principal(ctx), in.ID, in.Host))
	})
}
