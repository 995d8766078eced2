package api

import (
	"context"
	"net/http"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

type explainInput struct {
	URL            string `query:"url" required:"true" minLength:"1" maxLength:"8192" doc:"An address of one of your sites. Without a scheme it gets the one that sites have."`
	Method         string `query:"method" enum:"GET,HEAD,OPTIONS,POST,PUT,PATCH,DELETE" default:"GET"`
	Accept         string `query:"accept" maxLength:"1000" doc:"The request's Accept. Default: a browser's that opens a page."`
	AcceptEncoding string `query:"acceptEncoding" maxLength:"1000" doc:"The request's Accept-Encoding. Default: a browser's."`
}

func (a *API) registerExplain() {
	register(a, endpoint{
		id: "explain", method: http.MethodGet, path: "/explain", tag: "Deployments",
		summary: "What edges answer at an address, and why",
		about:   "From what is published, as an edge sees it: host, route, project, deployment, the rule that matched, file and headers; and what an edge has cached, where EDGE_URL names one.",
		scope:   controlplane.ScopeRead, rate: rateGeneral,
	}, func(ctx context.Context, in *explainInput) (*bodyOutput[*controlplane.Explanation], error) {
		return answer(a.Service.Explain(ctx, principal(ctx), controlplane.ExplainInput(*in)))
	})
}
