package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// endpoint is what an operation asks of the gates, and what the document says
// of it.
type endpoint struct {
	id      string // operationId
	method  string
	path    string
	tag     string
	summary string
	about   string
	status  int // of success; 0: 200, or 204 where there is no body

	public  bool               // nobody needs to be signed in
	scope   controlplane.Scope // what a token needs; not used where public
	attempt bool               // attempt tokens may call it, for what is theirs
	builder bool               // nobody but an attempt token may
	rate    rate               // which limit it counts against

	maxBody  int64         // bytes; 0: 1 MiB
	bodyTime time.Duration // for the body to arrive; 0: 30 s
	raw      *rawBody      // the handler reads the body itself
	stream   string        // media type of an answer that is written as it comes
}

// rawBody describes a body that huma does not read: it validates by building
// the whole tree in memory.
type rawBody struct {
	mediaType string
	of        reflect.Type // of JSON; nil: bytes
}

const (
	defaultMaxBody  = 1 << 20
	defaultBodyTime = 30 * time.Second
)

// caller is who makes a request, and where its answer goes.
type caller struct {
	controlplane.Actor
	session string // secret of the cookie it came with
	w       http.ResponseWriter
	r       *http.Request
	maxBody int64
}

type callerKey struct{}

func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	if c == nil {
		return &caller{}
	}
	return c
}

// principal returns the person who calls, or nobody.
func principal(ctx context.Context) controlplane.Principal {
	if p := callerOf(ctx).Principal; p != nil {
		return *p
	}
	return controlplane.Principal{}
}

// register adds an operation. The handler's errors become problems.
func register[I, O any](a *API, e endpoint, handler func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: e.id, Method: e.method, Path: e.path, Tags: []string{e.tag}, Summary: e.summary, Description: e.about,
		DefaultStatus: e.status,
		// huma refuses a body that has exactly the limit.
		MaxBodyBytes:    e.bodyLimit() + 1,
		BodyReadTimeout: e.bodyTimeout(),
		Security:        e.security(),
		Middlewares:     huma.Middlewares{a.gate(e)},
	}
	if e.stream != "" {
		op.Responses = map[string]*huma.Response{"200": {
			Description: http.StatusText(http.StatusOK),
			Content:     map[string]*huma.MediaType{e.stream: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		if c := callerOf(ctx); c.w != nil && e.raw == nil {
			// The deadline was for the body. Left in place it would end the
			// request while it works.
			_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
		}
		out, err := handler(ctx, in)
		if err != nil {
			return nil, a.failure(ctx, err)
		}
		return out, nil
	})
	e.document(a.huma.OpenAPI())
}

func (e endpoint) bodyLimit() int64 {
	if e.maxBody == 0 {
		return defaultMaxBody
	}
	return e.maxBody
}

func (e endpoint) bodyTimeout() time.Duration {
	if e.bodyTime == 0 {
		return defaultBodyTime
	}
	return e.bodyTime
}

func (e endpoint) security() []map[string][]string {
	var out []map[string][]string
	if !e.public && !e.builder {
		out = append(out, map[string][]string{"token": {}}, map[string][]string{"session": {}})
	}
	if e.attempt || e.builder {
		out = append(out, map[string][]string{"attempt": {}})
	}
	return out
}

// document adds what huma does not know: the body that the handler reads, the
// scope, and the answers of the gates.
func (e endpoint) document(oapi *huma.OpenAPI) {
	op := operationOf(oapi.Paths[e.path], e.method)
	if e.raw != nil {
		schema := &huma.Schema{Type: huma.TypeString, Format: "binary"}
		if e.raw.of != nil {
			schema = oapi.Components.Schemas.Schema(e.raw.of, true, "")
		}
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{e.raw.mediaType: {Schema: schema}}}
	}
	op.Extensions = map[string]any{"x-rate-limit": string(e.rate)}
	if !e.public && !e.builder {
		op.Extensions["x-scope"] = e.scope.String()
	}
}

func operationOf(item *huma.PathItem, method string) *huma.Operation {
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	}
	return item.Delete
}

// gate lets a request through to an operation, or answers why not.
func (a *API) gate(e endpoint) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(hc)
		if rec, ok := w.(*recorder); ok {
			rec.operation, rec.stream = e.id, e.stream != ""
		}
		c, err := a.admit(e, w, r)
		if err != nil {
			a.failure(r.Context(), err).write(w)
			return
		}
		next(huma.WithValue(hc, callerKey{}, c))
	}
}

// admit finds out who calls, counts the call, and checks what the operation
// asks for.
func (a *API) admit(e endpoint, w http.ResponseWriter, r *http.Request) (*caller, error) {
	c := &caller{w: w, r: r, maxBody: e.bodyLimit()}
	signIn := a.signIn(c)
	if signIn != nil && controlplane.CodeOf(signIn) == "" {
		return nil, signIn
	}
	// Counted first: who may not call may not ask for ever, either.
	if err := a.count(e, c); err != nil {
		return nil, err
	}
	if e.public {
		return c, a.checkOrigin(c)
	}
	if signIn != nil {
		return nil, signIn
	}
	if c.Attempt != nil {
		if !e.attempt && !e.builder {
			return nil, controlplane.Errorf(controlplane.CodeForbidden, "A builder's token is not good for this.")
		}
		return c, nil
	}
	if c.Principal == nil || e.builder {
		return nil, controlplane.Errorf(controlplane.CodeUnauthorized, signInDetail)
	}
	if err := a.checkOrigin(c); err != nil {
		return nil, err
	}
	return c, c.Principal.Allows(e.scope)
}

// body reads a body that huma left alone.
func (c *caller) body(into time.Duration) ([]byte, error) {
	control := http.NewResponseController(c.w)
	_ = control.SetReadDeadline(time.Now().Add(into))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	if c.r.ContentLength > c.maxBody {
		return nil, errTooLarge
	}
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, c.maxBody))
	var large *http.MaxBytesError
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &large):
		return nil, errTooLarge
	case errors.As(err, &slow) && slow.Timeout():
		return nil, problem(http.StatusRequestTimeout, "The body took too long to arrive.")
	case err != nil:
		return nil, problem(http.StatusBadRequest, "The body ended early.")
	}
	return b, nil
}

var errTooLarge = controlplane.Errorf(controlplane.CodeTooLarge, "The body is larger than this call takes.")

// checkJSON refuses a raw body that does not say it is JSON: a browser sends
// text/plain to other origins without asking them.
func (c *caller) checkJSON() error {
	mediaType, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	if mediaType = strings.TrimSpace(mediaType); mediaType != "" && !strings.EqualFold(mediaType, "application/json") {
		return problem(http.StatusUnsupportedMediaType, "Send the body as application/json.")
	}
	return nil
}
