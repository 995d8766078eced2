package controlplane

import (
	"errors"
	"fmt"
)

// Code classes an [Error]. The API maps each to one HTTP status.
type Code string

// The codes.
const (
	CodeInvalid      Code = "invalid"      // 422: fields are wrong, see Fields
	CodeUnauthorized Code = "unauthorized" // 401: no or bad sign-in
	CodeForbidden    Code = "forbidden"    // 403: signed in, but not allowed this
	CodeNotFound     Code = "not-found"    // 404: missing, or another owner's
	CodeConflict     Code = "conflict"     // 409: the state does not allow it
	CodeTooLarge     Code = "too-large"    // 413
	CodeRateLimited  Code = "rate-limited" // 429
	CodeUnavailable  Code = "unavailable"  // 503: a dependency does not answer
)

// Error is an error whose message is meant for the person who asked: it says
// what happened, to what, and what to do next. Every other error is internal,
// logged, and answered without its text.
type Error struct {
	Code    Code
	Message string
	Fields  []FieldError
}

// FieldError says what is wrong with one field of a request.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an [Error].
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an [Error] of [CodeInvalid] about one field.
func Invalid(field, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return &Error{Code: CodeInvalid, Message: message, Fields: []FieldError{{Field: field, Message: message}}}
}

// CodeOf returns the code of the [Error] in err's chain, or "" where there is
// none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
