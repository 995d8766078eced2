package api

import (
	"context"
	"net/http"
	"reflect"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// EventsAnswer is what a builder hears when it has reported.
type EventsAnswer struct {
	Canceled bool `json:"canceled" doc:"The attempt is over: stop."`
}

type claimInput struct {
	Body site.ClaimRequest
}

const maxEvents = 4 << 20

func (a *API) registerAttempts() {
	register(a, endpoint{
		id: "claimAttempt", method: http.MethodPost, path: "/attempts/claim", tag: "Builders", summary: "Exchange a one-use token for the job",
		public: true, rate: rateClaim,
	}, func(ctx context.Context, in *claimInput) (*bodyOutput[*site.Job], error) {
		return answer(a.Service.Claim(ctx, in.Body.Token))
	})
	register(a, endpoint{
		id: "reportEvents", method: http.MethodPost, path: "/attempts/{id}/events", tag: "Builders", summary: "Report what happened",
		builder: true, rate: rateGeneral, maxBody: maxEvents,
		raw: &rawBody{"application/json", reflect.TypeFor[[]site.Event]()},
	}, a.reportEvents)
}

func (a *API) reportEvents(ctx context.Context, in *idInput) (*bodyOutput[EventsAnswer], error) {
	c := callerOf(ctx)
	if c.Attempt == nil || c.Attempt.ID() != in.ID {
		return nil, controlplane.Errorf(controlplane.CodeNotFound, "There is no such attempt.")
	}
	if err := c.checkJSON(); err != nil {
		return nil, err
	}
	body, err := c.body(defaultBodyTime)
	if err != nil {
		return nil, err
	}
	events, err := site.DecodeEvents(body)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "The body is not a JSON array of events.")
	}
	canceled, err := a.Service.HandleEvents(ctx, c.Actor, in.ID, events)
	return answer(EventsAnswer{Canceled: canceled}, err)
}
