package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/publish"
)

// usageError is a command line that can't be meant: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// saidError is an error that the person has seen already.
type saidError struct{ error }

func (e saidError) Unwrap() error { return e.error }

// usageArgs makes wrong arguments a usageError.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		check = cobra.NoArgs
	}
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err != nil && strings.HasPrefix(err.Error(), "accepts ") { // cobra counts; a person wants names
			use := strings.TrimSuffix(cmd.UseLine(), " [flags]")
			err = fmt.Errorf("%d arguments are too few or too many: use it as `%s`", len(args), use)
		}
		if err != nil {
			return usagef("%w; see `%s --help`", err, cmd.CommandPath())
		}
		return nil
	}
}

const unknownCommand = "unknown command"

// exitCode tells of a command's error and returns the process's exit code.
func exitCode(stderr io.Writer, err error) int {
	var usage usageError
	var said saidError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &said):
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "Interrupted.")
	case strings.HasPrefix(err.Error(), unknownCommand) && !errors.As(err, &usage): // cobra's own, with what is alike
		fmt.Fprintln(stderr, "Error: "+harmless(strings.TrimSpace(err.Error()), false)+"\nSee `mini-vercel --help`")
	default:
		text := err.Error()
		var refused *publish.APIError
		if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
			text += "; sign in with `mini-vercel login`"
		}
		fmt.Fprintln(stderr, "Error: "+harmless(text, false))
	}
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), unknownCommand) {
		return 2
	}
	return 1
}
