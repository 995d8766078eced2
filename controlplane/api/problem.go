package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Problem is the body of every answer that is no success, RFC 9457. It does not
// repeat what was sent, but for names: of a project, a branch, a file.
type Problem struct {
	Type   string                    `json:"type" doc:"A URI that names the kind of problem."`
	Title  string                    `json:"title" doc:"The kind of problem, the same for all of its kind."`
	Status int                       `json:"status" doc:"The HTTP status."`
	Detail string                    `json:"detail,omitempty" doc:"What happened, and what to do about it."`
	Errors []controlplane.FieldError `json:"errors,omitempty" doc:"What is wrong with each field."`

	header http.Header // Retry-After and the like
}

// problemType is what the type of a problem begins with; RFC 9457 wants a URI
// that needs not lead anywhere.
const problemType = "urn:mini-vercel:problem:"

func (p *Problem) Error() string { return p.Detail }

// GetStatus implements [huma.StatusError].
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements [huma.HeadersError].
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType implements [huma.ContentTypeFilter].
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, detail string, fields ...controlplane.FieldError) *Problem {
	title := http.StatusText(status)
	return &Problem{
		Type:   problemType + strings.ReplaceAll(strings.ToLower(title), " ", "-"),
		Title:  title,
		Status: status,
		Detail: detail,
		Errors: fields,
		header: http.Header{},
	}
}

// write answers a request with the problem.
func (p *Problem) write(w http.ResponseWriter) {
	header := w.Header()
	for name, values := range p.header {
		header[name] = values
	}
	header.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone
}

var statuses = map[controlplane.Code]int{
	controlplane.CodeInvalid:      http.StatusUnprocessableEntity,
	controlplane.CodeUnauthorized: http.StatusUnauthorized,
	controlplane.CodeForbidden:    http.StatusForbidden,
	controlplane.CodeNotFound:     http.StatusNotFound,
	controlplane.CodeConflict:     http.StatusConflict,
	controlplane.CodeTooLarge:     http.StatusRequestEntityTooLarge,
	controlplane.CodeRateLimited:  http.StatusTooManyRequests,
	controlplane.CodeUnavailable:  http.StatusServiceUnavailable,
}

const (
	internalDetail = "Something went wrong here, not with your request. The log of the control plane names this request by its X-Request-ID."
	signInDetail   = "Sign in first, or send a valid API token."
)

// problemOf is the one place that maps errors to answers. It returns nil for an
// error that is nobody's business but the log's.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var e *controlplane.Error
	if !errors.As(err, &e) || statuses[e.Code] == 0 {
		return nil
	}
	p = problem(statuses[e.Code], e.Message, e.Fields...)
	switch p.Status {
	case http.StatusUnauthorized:
		p.header.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		p.header.Set("Retry-After", "5")
	}
	return p
}

// framework makes huma report its own findings in our form. Its switches are
// variables of the package, so they are set once.
var framework = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return frameworkProblem(status, message, errs)
	}
	huma.DefaultArrayNullable = false // lists are empty, never null
	huma.ValidateStrictCasing = true
})

// frameworkProblem words what huma found out. Its own words hold what was sent.
func frameworkProblem(status int, message string, errs []error) *Problem {
	switch status {
	case http.StatusBadRequest:
		if message == "request body is required" {
			return problem(status, "This call needs a body in JSON.")
		}
		return problem(status, "The body is not valid JSON.")
	case http.StatusUnsupportedMediaType:
		return problem(status, "Send the body as application/json.")
	case http.StatusRequestEntityTooLarge:
		return problem(status, "The body is larger than this call takes.")
	case http.StatusRequestTimeout:
		return problem(status, "The body took too long to arrive.")
	case http.StatusUnprocessableEntity:
		p := problem(status, "Some fields are not valid.")
		for _, err := range errs {
			p.Errors = append(p.Errors, fieldError(err))
		}
		return p
	case 0: // the example that the document is made from
		return &Problem{}
	}
	if status < http.StatusInternalServerError {
		return problem(status, "")
	}
	return problem(status, internalDetail)
}

// fieldError keeps what huma says of a field, but for the value.
func fieldError(err error) controlplane.FieldError {
	detail, ok := err.(huma.ErrorDetailer)
	if !ok {
		return controlplane.FieldError{Message: "is not valid"}
	}
	d := detail.ErrorDetail()
	_, field, _ := strings.Cut(d.Location, ".") // the part before says body, query or path
	if missing, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		name := strings.TrimSuffix(missing, " to be present")
		if field != "" {
			name = field + "." + name
		}
		return controlplane.FieldError{Field: name, Message: "is missing"}
	}
	return controlplane.FieldError{Field: field, Message: d.Message}
}
