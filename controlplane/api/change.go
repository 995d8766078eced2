package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func (a *API) registerChanges() {
	register(a, endpoint{
		id: "followChanges", method: http.MethodGet, path: "/events", tag: "System", summary: "Follow every change that you may see",
		about: "Server-sent events of the name change, with a Change as data. After a gap, ask again for what is shown.",
		scope: controlplane.ScopeRead, rate: rateGeneral, stream: "text/event-stream",
	}, func(ctx context.Context, _ *empty) (*huma.StreamResponse, error) {
		p := principal(ctx)
		if err := a.enter(ctx, p); err != nil {
			return nil, err
		}
		changes, err := a.Service.Changes(ctx, p)
		if err != nil {
			return nil, err
		}
		return serveEvents(a, source[controlplane.Change]{changes, func(c controlplane.Change) ([]event, bool) {
			return []event{{Name: "change", Data: c}}, false
		}}), nil
	})
	// No operation answers with it, but the stream's data is one.
	schemaOf[controlplane.Change](a)
}
