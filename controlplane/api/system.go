package api

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Isolation says how builds are kept apart from this machine.
type Isolation struct {
	Where    string   `json:"where,omitempty" doc:"What builds run on."`
	Mode     string   `json:"mode" doc:"What the commands of a build run in."`
	Network  string   `json:"network" doc:"What they reach."`
	Warnings []string `json:"warnings" doc:"What this machine can't do; empty: nothing is missing."`
}

// System is what the parts say of themselves.
type System struct {
	Version   string       `json:"version"`
	StartedAt time.Time    `json:"startedAt"`
	Parts     []SystemPart `json:"parts"`
	Isolation Isolation    `json:"isolation"`
}

// SystemPart is one part that the control plane depends on.
type SystemPart struct {
	Name   string `json:"name"`
	Engine string `json:"engine,omitempty" doc:"What it is here, such as SQLite or PostgreSQL. GET /ready does not say."`
	Status string `json:"status" enum:"ok,failed"`
	Detail string `json:"detail,omitempty"`

	word string // of what is wrong, for everybody
}

type healthBody struct {
	Status string `json:"status" enum:"ok"`
}

type readyBody struct {
	Status string       `json:"status" enum:"ok"`
	Parts  []SystemPart `json:"parts"`
}

// readyTime is how long the parts have to answer.
const readyTime = 5 * time.Second

func (a *API) registerSystem() {
	register(a, endpoint{
		id: "getHealth", method: http.MethodGet, path: "/health", tag: "System", summary: "Is the process alive?",
		public: true, rate: rateNone,
	}, func(context.Context, *empty) (*bodyOutput[healthBody], error) {
		return answer(healthBody{"ok"}, nil)
	})
	register(a, endpoint{
		id: "getReady", method: http.MethodGet, path: "/ready", tag: "System", summary: "Does everything that it depends on answer?",
		about:  "503 names what does not, or says that the control plane is stopping. Load balancers ask for ?part=database: without the others it still answers.",
		public: true, rate: rateNone,
	}, a.ready)
	register(a, endpoint{
		id: "getSystem", method: http.MethodGet, path: "/system", tag: "System", summary: "The health of each part, versions, isolation",
		scope: controlplane.ScopeRead, rate: rateGeneral,
	}, a.system)
}

type readyInput struct {
	Parts []string `query:"part,explode" enum:"database,logs,bucket,kafka" maxItems:"10" doc:"The parts that are asked. Default: all."`
}

func (a *API) ready(ctx context.Context, in *readyInput) (*bodyOutput[readyBody], error) {
	if a.isLeaving() {
		p := problem(http.StatusServiceUnavailable, "The control plane is stopping.")
		p.header.Set("Retry-After", "5")
		return nil, p
	}
	parts := a.parts(ctx, in.Parts...)
	p := problem(http.StatusServiceUnavailable, "Something that the control plane depends on does not answer.")
	for _, part := range parts {
		if part.Status != "ok" {
			p.Errors = append(p.Errors, controlplane.FieldError{Field: part.Name, Message: part.word})
		}
	}
	if len(p.Errors) > 0 {
		p.header.Set("Retry-After", "5")
		return nil, p
	}
	return answer(readyBody{Status: "ok", Parts: parts}, nil)
}

func (a *API) isLeaving() bool {
	select {
	case <-a.Leaving:
		return true
	case <-a.Draining:
		return true
	default:
		return false
	}
}

func (a *API) system(ctx context.Context, _ *empty) (*bodyOutput[System], error) {
	parts := slices.Clone(a.parts(ctx))
	for i := range parts {
		parts[i].Engine = a.Engines[parts[i].Name]
	}
	if a.Accounts.BySupabase() {
		parts = append(parts, a.supabasePart())
	}
	return answer(System{Version: a.Version, StartedAt: a.started.UTC(), Parts: parts, Isolation: a.Isolation}, nil)
}

// supabasePart is no part that GET /ready asks: without Supabase everything goes
// on for whoever is signed in.
func (a *API) supabasePart() SystemPart {
	part := SystemPart{Name: "supabase", Status: "ok"}
	if _, err := a.Accounts.SupabaseState(); err != nil {
		part.Status, part.Detail = "failed", "Its keys can't be fetched; the log of the control plane says why. Whoever is signed in goes on."
	}
	return part
}

// health is what parts last said, by their names. Whoever asks for the same again
// at once gets the same: everybody may ask.
type health struct {
	mu   sync.Mutex
	last map[string]*lastHealth
}

type lastHealth struct {
	mu    sync.Mutex
	at    time.Time
	parts []SystemPart
}

// of is what some parts last said. Others may hang: each set has its own.
func (h *health) of(only []string) *lastHealth {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := strings.Join(only, " ")
	if h.last[name] == nil {
		if h.last == nil {
			h.last = map[string]*lastHealth{}
		}
		h.last[name] = &lastHealth{}
	}
	return h.last[name]
}

// healthTime is how long an answer counts.
const healthTime = time.Second

// parts asks every part, or those that are named. Why one does not answer is for
// the log alone.
func (a *API) parts(ctx context.Context, only ...string) []SystemPart {
	only = slices.Compact(slices.Sorted(slices.Values(only)))
	last := a.health.of(only)
	last.mu.Lock()
	defer last.mu.Unlock()
	if time.Since(last.at) < healthTime {
		return last.parts
	}
	// Not bound to this request: others get its answer, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTime)
	defer cancel()
	states := a.Service.Ready(ctx, only...)
	parts := []SystemPart{}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		part := SystemPart{Name: name, Status: "ok"}
		if err := states[name]; err != nil {
			part.Status, part.Detail, part.word = "failed", "It does not answer; the log of the control plane says why.", "does not answer"
			var refused controlplane.SettingsError
			if errors.As(err, &refused) {
				part.word = "refuses the control plane: a setting is wrong"
				part.Detail = refused.Error() + ". The log of the control plane says more."
			}
			a.Log.WarnContext(ctx, "part does not answer", slog.String("part", name), slog.Any("error", err))
		}
		parts = append(parts, part)
	}
	last.at, last.parts = time.Now(), parts
	return parts
}
