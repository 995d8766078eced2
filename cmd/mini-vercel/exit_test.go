package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/builder/publish"
)

func TestWhoIsNotSignedInIsToldHow(t *testing.T) {
	const hint = "sign in with `mini-vercel login`"
	for _, row := range []struct {
		err  error
		told bool
	}{
		{fmt.Errorf("deploy: %w", &publish.APIError{Status: http.StatusUnauthorized, Detail: "This token is not known."}), true},
		{&publish.APIError{Status: http.StatusForbidden, Detail: "This token may only read."}, false},
		{errors.New("nothing is at ./site"), false},
	} {
		var stderr strings.Builder
		if code := exitCode(&stderr, row.err); code != 1 {
			t.Errorf("%v: exit code %d", row.err, code)
		}
		if text := stderr.String(); !strings.Contains(text, row.err.Error()) || strings.Contains(text, hint) != row.told {
			t.Errorf("%v: %q", row.err, text)
		}
	}
	// A builder, whose log is a project's, has nobody to sign in.
	if text := (&publish.APIError{Status: http.StatusUnauthorized}).Error(); strings.Contains(text, "login") {
		t.Error(text)
	}
}
