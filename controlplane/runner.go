package controlplane

import (
	"context"
	"errors"
)

// Runner starts builders and ends them: as processes of this machine, or as
// tasks of a cluster.
type Runner interface {
	// Start starts a builder and returns a handle that names it, after a
	// restart too. An error means that nothing runs, or that what runs ends as
	// soon as it finds its attempt over; it wraps [ErrNoRoom] where another
	// time may do.
	Start(ctx context.Context, b Builder) (handle string, err error)

	// Look says what has become of a builder. One that is not known is gone. A
	// builder that runs is followed from then on: Exits tells of its end.
	Look(ctx context.Context, handle string) (BuilderState, error)

	// Stop ends a builder and everything that it started, and returns when
	// nothing of it is left or its end is certain. One that is not known is no
	// error.
	Stop(ctx context.Context, handle string) error

	// Exits tells of builders that have ended by themselves.
	Exits() <-chan BuilderExit

	// Sweep ends and removes what earlier starts have left behind, and reports
	// how many builders it ended. Builders that outlive their control plane may
	// be another's: of these it ends those alone whose attempt, named by its id,
	// is over.
	Sweep(ctx context.Context, over func(ctx context.Context, attempt string) (bool, error)) (ended int, err error)

	// Survives reports whether builders outlive this process.
	Survives() bool
}

// ErrNoRoom says that a runner works, but has no room for one more builder now.
var ErrNoRoom = errors.New("there is no room for another builder")

// Builder is what a runner needs to start one.
type Builder struct {
	Attempt string // the attempt's id, for names of directories and tasks
	URL     string // of the control plane
	Claim   string // the one-use token
}

// BuilderState is what a runner knows of a builder.
type BuilderState struct {
	Running bool
	Exit    BuilderExit // where it has ended
}

// BuilderExit says how a builder ended.
type BuilderExit struct {
	Handle string
	Code   int    // exit code; -1: by a signal, or not known
	Reason string // what a person can act on, such as the end of its stderr
	Lost   bool   // no fault of the build: it never ran, or the machine below it is gone
	NoRoom bool   // it never ran, as there is no room for it now
}
