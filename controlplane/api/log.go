package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

type logInput struct {
	ID     string `path:"id" maxLength:"100"`
	After  string `query:"after" maxLength:"40" doc:"A place in the log, <attempt>-<seq>: what comes behind it."`
	Limit  int    `query:"limit" minimum:"1" maximum:"5000" default:"1000"`
	Query  string `query:"q" maxLength:"200" doc:"Lines that contain this text, in any case."`
	Format string `query:"format" enum:"json,text" default:"json" doc:"text: the whole log as a file."`
}

type logStreamInput struct {
	ID          string `path:"id" maxLength:"100"`
	After       string `query:"after" maxLength:"40" doc:"A place in the log, <attempt>-<seq>."`
	LastEventID string `header:"Last-Event-ID" maxLength:"40" doc:"Where a broken stream ended; browsers send it by themselves."`
}

func (a *API) registerLogs() {
	register(a, endpoint{
		id: "getLog", method: http.MethodGet, path: "/deployments/{id}/logs", tag: "Deployments", summary: "A deployment's log, oldest line first",
		scope: controlplane.ScopeRead, rate: rateLogs,
	}, a.log)
	register(a, endpoint{
		id: "followLog", method: http.MethodGet, path: "/deployments/{id}/logs/stream", tag: "Deployments",
		summary: "Follow a deployment's log and state",
		about: "Server-sent events: line with a LogLine, state with the Deployment, end when there will be no more. The ids are <attempt>-<seq>. " +
			"history with {\"delayed\": true} says that the log store does not answer: new lines come all the same, older ones as far as they can be had, and delayed is false again when it does.",
		scope: controlplane.ScopeRead, rate: rateLogs, stream: "text/event-stream",
	}, a.followLog)
	page := schemaOf[Page[controlplane.LogLine]](a)
	a.huma.OpenAPI().Paths["/deployments/{id}/logs"].Get.Responses["200"] = &huma.Response{
		Description: http.StatusText(http.StatusOK),
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: page},
			"text/plain":       {Schema: &huma.Schema{Type: huma.TypeString}},
		},
	}
}

func (a *API) log(ctx context.Context, in *logInput) (*huma.StreamResponse, error) {
	p := principal(ctx)
	q := controlplane.LogQuery{After: in.After, Limit: in.Limit, Query: in.Query}
	if in.Format == "text" {
		q.Limit = 5000
	}
	lines, next, err := a.Service.Logs(ctx, p, in.ID, q)
	if err != nil {
		return nil, err
	}
	if in.Format != "text" {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			_, w := humago.Unwrap(hc)
			w.Header().Set("Content-Type", "application/json")
			encoder := json.NewEncoder(w)
			encoder.SetEscapeHTML(false)
			_ = encoder.Encode(Page[controlplane.LogLine]{Items: listed(lines), Next: next}) // the client may be gone
		}}, nil
	}
	d, err := a.Service.Deployment(ctx, p, in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", d.HostID+".log"))
		out := bufio.NewWriter(w)
		for {
			for _, line := range lines {
				_, _ = out.WriteString(line.Text) // Flush has the error
				_ = out.WriteByte('\n')
			}
			if out.Flush() != nil || next == "" {
				return
			}
			q.After = next
			if lines, next, err = a.Service.Logs(r.Context(), p, in.ID, q); err != nil {
				a.Log.WarnContext(r.Context(), "log download ended early", "deployment", in.ID, "error", err)
				panic(http.ErrAbortHandler) // so that the client does not take the part for the whole
			}
		}
	}}, nil
}

func (a *API) followLog(ctx context.Context, in *logStreamInput) (*huma.StreamResponse, error) {
	after := in.After
	if in.LastEventID != "" {
		after = in.LastEventID
	}
	p := principal(ctx)
	if err := a.enter(ctx, p); err != nil {
		return nil, err
	}
	events, err := a.Service.FollowLogs(ctx, p, in.ID, after)
	if err != nil {
		return nil, err
	}
	return serveEvents(a, source[controlplane.LogEvent]{events, showLog}), nil
}

func showLog(e controlplane.LogEvent) ([]event, bool) {
	switch {
	case e.Line != nil:
		return []event{{ID: e.ID, Name: "line", Data: e.Line}}, false
	case e.State != nil:
		return []event{{ID: e.ID, Name: "state", Data: e.State}}, false
	case e.History != nil:
		return []event{{ID: e.ID, Name: "history", Data: e.History}}, false
	}
	return []event{{ID: e.ID, Name: "end", Data: empty{}}}, true
}
