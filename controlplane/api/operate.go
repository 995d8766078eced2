package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// backupType is zstd, RFC 8878.
const backupType = "application/zstd"

type (
	garbageOutput = bodyOutput[*controlplane.Garbage]
	roundOutput   = bodyOutput[*controlplane.GarbageRound]
)

type garbageInput struct {
	Body *struct {
		DryRun bool `json:"dryRun,omitempty" doc:"Say what would go and when, and remove nothing."`
	} `required:"false"`
}

func (a *API) registerOperation() {
	register(a, endpoint{
		id: "backup", method: http.MethodGet, path: "/operation/backup", tag: "Operation",
		summary: "A backup of the database as it is now (administrators)",
		about:   "What `mini-vercel restore` takes. Secrets in it stay encrypted with the master key, which is not in it; files and logs are not either. A backup that broke off lacks its end, which restore sees.",
		scope:   controlplane.ScopeAdmin, rate: rateSensitive, stream: backupType,
	}, a.backup)
	register(a, endpoint{
		id: "garbage", method: http.MethodGet, path: "/operation/garbage", tag: "Operation",
		summary: "The look for what is no longer needed that goes on, or the last one (administrators)",
		scope:   controlplane.ScopeAdmin, rate: rateGeneral,
	}, func(ctx context.Context, _ *struct{}) (*roundOutput, error) {
		return answer(a.Service.GarbageRound(ctx, principal(ctx)))
	})
	register(a, endpoint{
		id: "removeGarbage", method: http.MethodPost, path: "/operation/garbage", tag: "Operation",
		summary: "Begin to remove what is no longer needed, or only to look (administrators)",
		about:   "It goes on in the background, whoever follows it by GET, and after a restart; one at a time: where such a round goes on, it is that one. The control plane removes by itself, too, a bit every minute.",
		scope:   controlplane.ScopeAdmin, rate: rateSensitive, status: http.StatusAccepted,
	}, func(ctx context.Context, in *garbageInput) (*roundOutput, error) {
		return answer(a.Service.BeginGarbage(ctx, principal(ctx), in.Body != nil && in.Body.DryRun))
	})
	register(a, endpoint{
		id: "lastGarbage", method: http.MethodGet, path: "/operation/garbage/last", tag: "Operation",
		summary: "What was removed last (administrators)",
		scope:   controlplane.ScopeAdmin, rate: rateSensitive,
	}, func(ctx context.Context, _ *struct{}) (*garbageOutput, error) {
		return answer(a.Service.LastGarbage(ctx, principal(ctx)))
	})
}

func (a *API) backup(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	p := principal(ctx)
	begin, err := a.Service.BeginBackup(p)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		out := &patientWriter{w: w, control: http.NewResponseController(w)}
		defer func() { _ = out.control.SetWriteDeadline(time.Time{}) }()
		w.Header().Set("Content-Type", backupType)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "mini-vercel-"+a.Now().UTC().Format("20060102-150405")+".backup"))
		var to io.Writer // none for HEAD
		if r.Method != http.MethodHead {
			to = out
		}
		if _, err := begin(r.Context(), to); err != nil {
			a.Log.WarnContext(r.Context(), "a backup ended early", "error", err)
			panic(http.ErrAbortHandler) // so that the client does not take the part for the whole
		}
	}}, nil
}

// patientWriter gives each write its time, not the whole answer.
type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(writeTime))
	return p.w.Write(b)
}
