package publish

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// APIError is an answer of the control plane that says why not, RFC 9457.
type APIError struct {
	Status     int
	Title      string
	Detail     string
	Fields     []FieldError
	RetryAfter time.Duration // 0: the answer did not say
}

// FieldError says what is wrong with one field of a request.
type FieldError struct {
	Field    string `json:"field"`
	Location string `json:"location"` // the same, where the field is found by a path
	Message  string `json:"message"`
}

func (e *APIError) Error() string {
	var b strings.Builder
	switch {
	case e.Detail != "":
		b.WriteString(e.Detail)
	case e.Title != "":
		b.WriteString(e.Title)
	default:
		b.WriteString(http.StatusText(e.Status))
	}
	for _, f := range e.Fields {
		name := f.Field
		if name == "" {
			name = f.Location
		}
		if f.Message == e.Detail {
			continue
		}
		if name == "" {
			fmt.Fprintf(&b, "; %s", f.Message)
		} else {
			fmt.Fprintf(&b, "; %s: %s", name, f.Message)
		}
	}
	fmt.Fprintf(&b, " (status %d)", e.Status)
	return b.String()
}

func readProblem(res *http.Response) error {
	e := &APIError{Status: res.StatusCode, RetryAfter: retryAfter(res.Header.Get("Retry-After"))}
	if res.StatusCode/100 == 3 {
		e.Detail = "the address leads on to " + res.Header.Get("Location") + "; use the control plane's own address"
		return e
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	if err != nil {
		return err
	}
	var problem struct {
		Title  string       `json:"title"`
		Detail string       `json:"detail"`
		Errors []FieldError `json:"errors"`
	}
	if json.Unmarshal(body, &problem) == nil {
		e.Title, e.Detail, e.Fields = problem.Title, problem.Detail, problem.Errors
	}
	return e
}

// retryAfter reads the header of that name: seconds, or an HTTP date.
func retryAfter(value string) time.Duration {
	if n, err := strconv.Atoi(value); err == nil && n >= 0 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
